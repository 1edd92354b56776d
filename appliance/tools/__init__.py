"""Tools as a site has them: which there are, who may call them, in which sandbox, and calls outside runs.

Must never call a tool past `runtime.tools.call`.
"""
