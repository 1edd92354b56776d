"""The sandbox drivers of an appliance, in the order in which they are asked."""

from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.gvisor import Gvisor
from runtime.sandbox.process import Process
from runtime.sandbox.registry import Sandboxes


def sandboxes() -> Sandboxes:
    """Every driver of this version; each tries itself on this machine when it is first asked."""
    return Sandboxes([Bubblewrap(), Gvisor(), Process()])
