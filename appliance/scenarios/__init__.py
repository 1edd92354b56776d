"""Scenarios of a project: inputs with what must become of them, read, run, and held against what was found."""
