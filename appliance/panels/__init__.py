"""What the panels of the dashboard show, as documents; one file a panel.

Only reads, and never opens anything itself.
"""
