"""The nouns as frozen types, and the pure functions over them.

Must never touch a clock, a file, a socket or a thread.
"""
