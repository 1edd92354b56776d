"""The air gap: walls that the kernel holds around this process and everything it starts, so that nothing leaves.

`seal` puts them up; each wall is tried, and what the kernel does not allow is reported. Our own code refuses first
and with a better message, but nothing here depends on it. Opens no connection.
"""
