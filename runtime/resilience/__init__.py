"""Breakers, bulkheads and caches around calls that can fail.

Must never know what it protects.
"""
