"""The deterministic core: definitions, planners, journal, engine, agents and tools.

Must never import `models`, `redaction`, `appliance` or `tui`.
"""
