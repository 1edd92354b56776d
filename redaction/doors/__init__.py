"""The doors: the only modules that open connections to the outside.

Every sender takes `Cleared`, which only the guard can make.
"""

import sys

# httpx imports its command line where there is one; with it come rich and pygments, a fifth of what every start of the
# appliance takes.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # no module of that name is to be found
