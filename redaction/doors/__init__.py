"""The doors: the only modules that open connections to the outside.

Every sender takes `Cleared`, which only the guard can make.
"""
