"""Metrics, as projections of the journal and of the API's traffic.

Must never change a run, hold the event loop, or see an input, an output or a prompt.
"""
