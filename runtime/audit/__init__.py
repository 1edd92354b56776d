"""The audit chain: hashing, checkpoints and verification, as pure functions.

Must never write; the store does, in the transaction of the events described.
"""
