"""The parts of the loader: YAML with line numbers, known keys, planner forms, project files.

`appliance.loader` is the front for definitions; `yaml_reader` also serves other YAML of the appliance.
Must never run what a document names.
"""
