"""Keeps secrets, and where it is wanted people's data, out of log records. By patterns alone: none waits.

Fails closed: a record that cannot be looked through is written without what it says. Used by one handler each, under
that handler's lock.
"""

import json
import secrets
from collections.abc import Callable, Mapping

from redaction.persist import ONE_WAY
from redaction.presets import RedactionPolicy
from redaction.redactor import Redactor
from redaction.segments import redact_payload
from runtime.domain.canonical import Json

LEFT_OUT = "[not redacted: left out]"
MAX_CHARS = 16_000
"""Characters of one text that are kept, of its end: there stands what went wrong."""


class LogRedaction:
    """One handler's. The policy is asked for when the first record comes, so that a quiet command reads none."""

    def __init__(self, policy: Callable[[], RedactionPolicy | None], *, values: int = 10_000) -> None:
        """`policy`: None for one writes records as they are; where it raises, everything is replaced.

        `values`: after so many pseudonyms new ones are given, with another mark, and the old ones are forgotten.
        """
        self._policy = policy
        self._values = values
        self._redactor: Redactor | None = None
        self._is_ready = False

    def text(self, text: str) -> str:
        """A text as it may be written."""
        found = self.fields({"message": text})["message"]
        return found if isinstance(found, str) else LEFT_OUT

    def fields(self, fields: Mapping[str, object]) -> dict[str, Json]:
        """The fields of a record as they may be written; names of fields stay, and say what their values are."""
        try:
            plain = _plain(fields)
            redactor = self._made()
            if redactor is None:
                return plain
            found = redact_payload(redactor, plain, "persist/log")
        except Exception:  # whatever goes wrong, nothing is written that nobody has looked through
            return dict.fromkeys(fields, LEFT_OUT)
        if not isinstance(found.payload, dict):
            return dict.fromkeys(fields, LEFT_OUT)
        return {name: found.payload.get(name, LEFT_OUT) for name in plain}

    def _made(self) -> Redactor | None:
        if not self._is_ready:
            try:
                policy = self._policy()
            except Exception:  # settings that can't be read are complained of by whoever needs them
                policy = ONE_WAY
            if policy is not None:
                self._redactor = Redactor(policy.patterns_only(), secrets.token_bytes(32))
            self._is_ready = True
        if self._redactor is not None and len(self._redactor.pseudonyms) >= self._values:
            self._redactor = Redactor(self._redactor.policy, secrets.token_bytes(32))
        return self._redactor


def _plain(fields: Mapping[str, object]) -> dict[str, Json]:
    """JSON, with what is none spelled as a text, without lone surrogates, and long texts cut."""
    plain: dict[str, Json] = json.loads(json.dumps(fields, ensure_ascii=False, default=str))
    return {name: _cut(value) if isinstance(value, str) else value for name, value in plain.items()}


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    left_out = len(text) - MAX_CHARS
    return text if left_out <= 0 else f"[{left_out:,} characters left out] {text[-MAX_CHARS:]}"
