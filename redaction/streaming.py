"""Redacts a text that comes in pieces, cut anywhere: the same pieces of it go out, whatever the cuts were.

Decisions fall at fixed places of the text, never at the end of a piece. The last HELD characters stay back until more
has come, a value is never let out in parts, and one that has no end yet holds back all of itself.
"""

from redaction.redactor import Acted, Redactor
from runtime.errors import Refused

HELD = 512
"""Characters that stay back, so that what is let out has been seen with what follows it."""
STEP = 256
CONTEXT = 128
"""Characters already out that are looked at again, as context."""
MAX_HELD = 262_144


class StreamRedactor:
    """One streamed text on its way to one destination."""

    def __init__(self, redactor: Redactor, destination: str = "") -> None:
        self._redactor = redactor
        self._destination = destination
        self._text = ""
        """Context, and everything that is not out yet."""
        self._out = 0
        """How much of `_text` is out."""
        self._next = HELD + STEP
        """The length of `_text` at which the next decision falls."""
        self.findings: list[Acted] = []
        """What was found in what is out. Offsets are those of pieces, not of the whole."""

    def feed(self, piece: str) -> str:
        """What may leave by now. Raises Refused when a value has to be blocked, or one without an end grows too long.

        After a refusal nothing more may be fed; what went out before holds nothing of the value.
        """
        out = ""
        at = 0
        while len(self._text) + len(piece) - at >= self._next:
            taken = self._next - len(self._text)
            self._text += piece[at : at + taken]
            at += taken
            out += self._release(len(self._text) - HELD)
        self._text += piece[at:]
        return out

    def end(self) -> str:
        """The rest."""
        return self._release(len(self._text))

    def _release(self, upto: int) -> str:
        is_end = upto == len(self._text)
        findings = [each for each in self._redactor.find(self._text) if each.end > self._out]
        if not is_end:
            upto = self._boundary(upto)
            upto = min((each.start for each in findings if each.end > upto), default=upto)
        if upto <= self._out and not is_end:
            if len(self._text) - self._out > MAX_HELD:
                message = f"a value of more than {MAX_HELD:,} characters has no end, so nothing of it leaves"
                raise Refused("redaction.too_large", message)
            self._next = len(self._text) + STEP
            return ""
        shown = self._text[self._out : upto]
        inside = [each for each in findings if each.start >= self._out and each.end <= upto]
        across = [each for each in findings if each.start < self._out]
        redacted = self._redactor.act_within(shown, [*across, *inside], -self._out, self._destination)
        if redacted.decision == "block":
            named = ", ".join(sorted({each.type for each in redacted.findings if each.action == "block"}))
            raise Refused("redaction.blocked", f"policy {self._redactor.policy.name!r} lets no {named} leave")
        self.findings += redacted.findings
        kept = max(0, upto - CONTEXT)
        self._text = self._text[kept:]
        self._out = upto - kept
        self._next = max(len(self._text), self._out + HELD) + STEP
        return redacted.text

    def _boundary(self, upto: int) -> int:
        """The last white space before, so that no word is cut; where there is none, nothing is let out."""
        while upto > self._out and not self._text[upto - 1].isspace():
            upto -= 1
        return upto
