"""What is done with values before something is written here: the policies of journal, memory, log and traces. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal

from redaction.presets import PRESETS, Actions, RedactionPolicy

Written = Literal["journal", "memory", "log", "trace"]
"""Where something is written; in the settings `persist/journal` and so on."""

PREFIX = "persist/"
SECRETS = PRESETS["secrets-only"]
"""What is done in logs and traces where nothing is minimised."""
ONE_WAY = RedactionPolicy(name="one-way", actions=Actions(), otherwise="replace")
"""As `strict`, but that nothing is stopped: a record that is left out helps nobody. By patterns alone."""
_MINIMISED: Mapping[Written, RedactionPolicy] = {
    "journal": PRESETS["default"],
    "memory": PRESETS["default"],
    "log": ONE_WAY,
    "trace": ONE_WAY,
}


def persist_policy(
    written: Written, own: Mapping[str, RedactionPolicy | None], *, is_minimised: bool = True
) -> RedactionPolicy | None:
    """The policy for what is written somewhere; None: as it is.

    `own`: pattern → policy as the settings have it; of these only patterns that begin with `persist/` count, so that
    what is allowed to leave says nothing about what is kept.
    """
    for pattern, policy in own.items():
        if pattern.startswith(PREFIX) and fnmatchcase(PREFIX + written, pattern):
            return policy
    if is_minimised:
        return _MINIMISED[written]
    return SECRETS if written in ("log", "trace") else None
