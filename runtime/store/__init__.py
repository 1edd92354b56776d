"""The durable store: one SQLite file a tenant, one writer a file.

The only package that may open a database.
"""
