"""Which release of the program this is."""

from importlib import metadata

DISTRIBUTION = "agentflow-appliance"


def version() -> str:
    """The version of the distribution; `unknown` in a checkout that was never installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
