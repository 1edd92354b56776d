"""Names by what stands before them: a title, a greeting, `my name is`, a signature, the address behind it.

Finds what a reader would bet on without knowing the language; names elsewhere in prose are the language model's work.
"""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.wording import NO_NAMES, is_name, name_end, words

SCORE = 0.75
_CAPITAL = r"[A-Z\xc0-\xde?]"
_CUES = re2.compile(
    (
        r"(?:\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Monsieur|Madame|Se\xf1ora?|Sra?)\b\.?[ \xa0]"
        r"|\b(?i:dear|hi|hello|hey|hallo|bonjour|hola|good (?:morning|afternoon|evening)|regards"
        r"|sincerely|cheers|best wishes"
        r"|thanks|thank you|yours|love|gr\xfc\xdfe),?[ \n\r]{1,4}"
        r"|\b(?i:my name is|name's|this is|i am|i'm|call me|speaking with|spoke (?:with|to)|on "
        r"behalf of|signed by|written by"
        r"|mein name ist|je m'appelle|me llamo|mi chiamo|named|name of|patient|pt|client|customer"
        r"|employee|nurse|doctor|colleague"
        r"|attending|attn|assigned to|reported by"
        r"|approved by|requested by|created by|escalate to|beneficiary|tenant|cardholder"
        r"|account holder|insured|spouse|wife"
        r"|husband|son|daughter|mother|father|brother|sister|manager|supervisor|user|member"
        r"|passenger|guest|recipient|sender),?[ ]"
        r"|\b(?:Author|Committer|Signed-off-by|Reviewed-by|Co-authored-by|From|To|Cc|Reply-To|Attendees|Present): ?\"?)"
        r"(?P<v>" + _CAPITAL + ")"
    ).encode("latin-1"),
    options(),
)
_BEFORE_MAIL = re2.compile(
    (
        r"(?P<v>" + _CAPITAL + r"[A-Za-z'\-\xc0-\xff?]{1,24}(?:,? (?:[a-z]{2,3} ){0,2}" + _CAPITAL
        + r"[A-Za-z'\-.\xc0-\xff?]{0,24}){1,3})\"?,? ?[<(\[:|]{1,2} ?(?:mailto:)?[A-Za-z0-9._%+'\-]{1,64}@"
    ).encode("latin-1"),
    options(),
)  # fmt: skip
_BOOKED = re2.compile(
    rb"(?:\b(?i:passenger|pax|traveller|traveler|guest|name)s?:? "
    rb")?(?P<v>\b[A-Z][A-Z'\-]{1,24}/[A-Z]{2,24}(?: [A-Z]{2,24})?)"
    rb"(?P<w> (?:MR|MRS|MS|MISS|MSTR|DR)\b|MR\b|MRS\b)?",
    options(),
)
"""As airlines write names: `BERG/ANNA MRS`."""
_LISTED = re2.compile(
    (
        r"\b(?P<v>[A-Z\xc0-\xde][A-Z\xc0-\xde'\-]{2,24}, "
        + _CAPITAL
        + r"[a-z\xdf-\xff?]{1,20}(?:[ \-]"
        + _CAPITAL
        + r"[a-z.\xdf-\xff?]{0,20})?)\b"
    ).encode("latin-1"),
    options(),
)
_CARD = re2.compile(
    rb"(?i)(?:(?:^|[\r\n])(?:FN|N)(?:;[^:\r\n]{0,60})?:(?P<v>[^\r\n:]{3,60})|\bCN=\"?(?P<w>[^,;:\r\n\"=]{3,60}))",
    options(),
)
"""A line of a vCard (RFC 6350), or a common name of LDAP and iCalendar."""
_SINGLE_OK = words(
    """
    dear hi hello hey hallo bonjour hola morning afternoon evening regards sincerely cheers wishes thanks you yours
    love grüße mr mrs ms miss dr prof herr frau mme monsieur madame señor señora sr sra me name name's appelle llamo
    chiamo
    """
)
"""Words behind which one word alone is a name; behind others it takes two."""


class People:
    """Names behind cues. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The names; they may overlap."""
        data = latin(text)
        at = 0
        while (match := _CUES.search(data, at)) is not None:
            start = match.start(1)
            at = max(start, match.start() + 1)
            cue = text[match.start() : start].strip(' ,.:\n\r"').lower()
            end = name_end(text, start)
            name = text[start:end].split()
            is_one = len(name) == 1 and cue.split()[-1:] != [] and cue.split()[-1] in _SINGLE_OK
            is_enough = len(name) >= 2 or (is_one and len(name[0]) >= 3 and not name[0].isupper())
            if is_enough and text[end : end + 1] not in ("_", "(", "/") and not _is_joined(text, end):
                yield Finding(start, end, "PERSON", SCORE, "cue", cue.split()[-1] if cue else "")
        if "@" in text:
            for match in _BEFORE_MAIL.finditer(data):
                if is_name(text[match.start(1) : match.end(1)]):
                    yield Finding(match.start(1), match.end(1), "PERSON", SCORE, "mail_name")
        for match in _BOOKED.finditer(data) if "/" in text else ():
            if match.start(2) >= 0 or match.start() < match.start(1):
                yield Finding(match.start(1), match.end(1), "PERSON", SCORE, "booked_name")
        for match in _CARD.finditer(data) if ":" in text or "=" in text else ():
            start, end = match.span(1 if match.start(1) >= 0 else 2)
            if is_name(text[start:end].replace(";", " ")):
                yield Finding(start, end, "PERSON", SCORE, "card_name")
        for match in _LISTED.finditer(data):
            last, _, first = text[match.start(1) : match.end(1)].partition(", ")
            if not {last.lower(), *first.lower().split()} & NO_NAMES:
                yield Finding(match.start(1), match.end(1), "PERSON", SCORE, "listed_name")


def _is_joined(text: str, end: int) -> bool:
    """Whether a word goes on with code: `From Users.Orders`."""
    return text[end : end + 1] in (".", "=", ":") and text[end + 1 : end + 2].isalnum()
