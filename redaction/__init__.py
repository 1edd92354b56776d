"""The guard, and the only doors to the outside.

Must never let out anything that is not `Cleared`.
"""
