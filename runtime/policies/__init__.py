"""Policies as pure functions: permissions, residency, quotas, retry, escalation.

Must never perform what it permits.
"""
