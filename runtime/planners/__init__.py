"""Planners: pure functions from (definition, state, event) to commands.

Must never await, read a clock or keep state between calls.
"""
