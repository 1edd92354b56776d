"""The message bus: envelopes to subscribers, after they are durable.

Must never publish what the journal does not hold.
"""
