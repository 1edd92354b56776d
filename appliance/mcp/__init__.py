"""The Model Context Protocol on both sides: servers whose tools are used here, and what is offered to clients.

Must never start a server that the settings do not name.
"""
