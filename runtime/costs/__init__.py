"""Cost of a run: preflight, budgets, calibration, reports, as pure arithmetic.

Must never read a clock or a store; both arrive as data.
"""
