"""The panels: one file each, a pure part that makes lines and, where it has keys of its own, its widget."""
