"""Runs looked at: their pages, their past, why they failed, what would have been, and taken elsewhere.

Must never change the journal of a run that is there.
"""
