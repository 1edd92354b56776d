"""Terminal screens and the one API client.

Must never see a store, an engine or a model.
"""
