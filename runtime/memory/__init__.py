"""Memory of agents: short-term, long-term, episodic, and retrieval over them.

Must never cross a tenant.
"""
