"""One payload in hand: each part of it is looked through, and what was found is kept together."""

import json
from collections.abc import Mapping

from redaction.findings import ENTITIES
from redaction.redactor import Acted, Redactor
from redaction.segments import redact_payload
from runtime.domain.canonical import Json
from runtime.errors import Refused

_BINARY = "BINARY"
_TELLING = ("contact", "financial", "national_id")
"""Groups whose values are told from a name by their form; what else is found in one is a guess."""


class Work:
    """One payload in hand."""

    def __init__(self, redactor: Redactor, destination: str) -> None:
        self._redactor = redactor
        self._destination = destination
        self.findings: list[Acted] = []

    def value(self, value: Json) -> Json:
        found = redact_payload(self._redactor, value, self._destination)
        self.findings += found.findings
        if found.decision == "block":
            named = ", ".join(sorted({each.type for each in found.findings if each.action == "block"}))
            self.block(named)
        return found.payload

    def values(self, values: Mapping[str, Json]) -> dict[str, Json]:
        found = self.value(dict(values))
        return found if isinstance(found, dict) else {}

    def pass_binary(self, what: str) -> None:
        """Let through what nobody can look into, where the policy says so."""
        if self._redactor.policy.action(_BINARY, self._destination) != "allow":
            self.block(f"{_BINARY} ({what})")

    def pass_identifier(self, name: str) -> None:
        """Let a name through that cannot be exchanged; one that is somebody's number or address is refused."""
        found = self._redactor.redact(name, self._destination).findings if name else ()
        if any(ENTITIES[each.type] in _TELLING and each.action != "allow" for each in found):
            self.block("tool name or call id with a person's data in it")

    def block(self, named: str) -> None:
        hint = "; one with entities: {BINARY: allow} does, under redaction in the settings" if _BINARY in named else ""
        message = f"redaction policy {self._redactor.policy.name!r} lets no {named} leave{hint}"
        raise Refused("redaction.blocked", message)


def text_of(found: Mapping[str, Json], key: str) -> str:
    """A text that was walked through; one that was left out is empty."""
    value = found.get(key, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
