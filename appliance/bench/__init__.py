"""Benchmarks: `af bench`.

The one place, with the clock, where wall time is measured.
"""
