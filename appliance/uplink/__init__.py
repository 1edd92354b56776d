"""What is said here, forwarded to a broker elsewhere.

Must never hand over what a policy keeps here.
"""
