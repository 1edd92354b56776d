"""The HTTP API: decodes strictly, calls the engine, encodes.

Must never decide anything the engine decides.
"""
