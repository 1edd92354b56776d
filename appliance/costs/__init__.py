"""Money and tokens as people see them: before a run, behind it, and what is left of a budget.

Must never count money in floating point.
"""
