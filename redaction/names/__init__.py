"""Names and places, found by a language model in worker processes.

Must never let a text pass because the model did not answer.
"""
