"""Model backends, routing and the gateway in front of them.

Must never open a connection; remote backends are handed a door's transport.
"""
