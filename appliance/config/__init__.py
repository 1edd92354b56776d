"""Settings: their schema, sources and secrets.

Must never be read at import time.
"""
