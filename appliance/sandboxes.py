"""The sandbox drivers of an appliance, in the order in which they are asked."""

from collections.abc import Callable

from appliance.config.settings import SandboxSettings
from runtime.ports import Sandbox
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.docker import Docker
from runtime.sandbox.gvisor import Gvisor
from runtime.sandbox.process import Process
from runtime.sandbox.registry import Sandboxes


def sandboxes(settings: SandboxSettings) -> Sandboxes:
    """Every driver that the settings name; each tries itself on this machine when it is first asked."""
    made: dict[str, Callable[[], Sandbox]] = {
        "bubblewrap": Bubblewrap,
        "gvisor": Gvisor,
        "docker": lambda: Docker(image=settings.docker_image),
        "process": Process,
    }
    return Sandboxes([made[name]() for name in settings.order if name in made])
