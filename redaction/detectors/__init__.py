"""What is looked for: tables of rules by subject, and the engine that runs them.

Must never use an engine that backtracks, and never reach out to verify what it finds.
"""
