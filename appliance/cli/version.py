"""`af version`: what exactly is running, for a bug report."""

import platform
import sys
from importlib import metadata

import click

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

DISTRIBUTION = "agentflow-appliance"
PARTS = ("llama-cpp-python", "onnxruntime", "litestar", "granian")


def own_version() -> str:
    """The version of this program."""
    return _version_of(DISTRIBUTION) or "unknown"


@click.command(cls=Command, examples="af version --json")
@pass_af
def version(af: Af) -> None:
    """Print the versions of the program and of the parts that decide what it does."""
    found = {
        "agentflow": own_version(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "sqlite": getattr(sys.modules.get("sqlite3"), "sqlite_version", None),  # the one that was installed at start
        **{name: _version_of(name) for name in PARTS},
        "program": sys.argv[0],
    }
    for name, value in found.items():
        af.terminal.say(f"{name:<17} {value or 'not installed'}")
    af.terminal.document(found)


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
