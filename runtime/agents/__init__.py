"""The agent kinds: each turns a task into a result.

Must never write the journal; the engine does.
"""
