"""The sandbox drivers of an appliance, in the order in which they are asked."""

from collections.abc import Callable
from pathlib import Path

from appliance.config.settings import SandboxSettings
from runtime.ports import Sandbox
from runtime.sandbox.bubblewrap import Bubblewrap
from runtime.sandbox.docker import Docker
from runtime.sandbox.gvisor import Gvisor
from runtime.sandbox.known import Known
from runtime.sandbox.process import Process
from runtime.sandbox.registry import Sandboxes
from runtime.sandbox.wasm.driver import Wasm

COMPILED = "wasm"
"""Folder of the data folder that holds the machine code of modules."""


def sandboxes(settings: SandboxSettings, data: Path, *, tries_anew: bool = False) -> Sandboxes:
    """Every driver that the settings name; each tries itself on this machine when it is first asked.

    What it found is kept in the data folder until the machine starts again or a program changes; with `tries_anew` it
    is found out all over.
    """
    known = Known(data / "run" / "sandboxes.json", tries_anew=tries_anew)
    made: dict[str, Callable[[], Sandbox]] = {
        "bubblewrap": lambda: Bubblewrap(known=known),
        "gvisor": lambda: Gvisor(known=known),
        "docker": lambda: Docker(image=settings.docker_image),
        "wasm": lambda: wasm(data),
        "process": lambda: Process(known=known),
    }
    return Sandboxes([made[name]() for name in settings.order if name in made])


def wasm(data: Path) -> Wasm:
    """The one whose compiled modules are in a data folder, or nowhere for long where there is none."""
    return Wasm(data / COMPILED if data.is_dir() else None)
