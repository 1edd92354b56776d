"""Tools: registry, permission, call, and the built-in kinds.

Must never open a connection; the doors do.
"""
