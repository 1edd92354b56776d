"""Who is calling: API keys, tokens, guards, rate limits.

Must never store a secret in the clear.
"""
