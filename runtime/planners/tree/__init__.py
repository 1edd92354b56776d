"""Behaviour trees: compiled once per definition, ticked on every event."""
