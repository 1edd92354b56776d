"""The process: wiring, HTTP, CLI, configuration, triggers, telemetry.

Must never hold rules of the core; those live in `runtime`.
"""
