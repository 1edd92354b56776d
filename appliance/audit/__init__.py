"""The audit log of a site: its keys, its checkpoints and their copies elsewhere, and its lines for people.

Must never write a value that somebody could be known by.
"""
