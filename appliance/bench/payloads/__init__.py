"""Payloads that agents send, made up from a seed: with the values that must go and those that must stay."""
