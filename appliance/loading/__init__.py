"""The parts of the loader: YAML with line numbers, known keys, planner forms, project files.

`appliance.loader` is the front; nothing else imports these. Must never run what a document names.
"""
