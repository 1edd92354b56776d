"""The `af` command, one file a command group.

Must never import a heavy library at import time.
"""
