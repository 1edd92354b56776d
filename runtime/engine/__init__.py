"""The engine: executor, dispatcher, timers, recovery, relay and replay.

The only package that appends decisions to the journal.
"""
