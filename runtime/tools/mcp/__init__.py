"""The Model Context Protocol: our tools for other programs, and other programs' tools for us.

The one place that imports the official SDK, which takes a second to import: nothing here is imported at start.
"""
