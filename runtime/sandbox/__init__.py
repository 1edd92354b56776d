"""Sandboxes: run a program under one concrete execution profile.

Must never weaken a profile it cannot give; it refuses.
"""
