"""Subjects of envelopes, and the filters that choose among them. Pure.

A subject is tokens between dots, such as `runs.support.r-01….step.failed`. In a filter `*` stands for one token, and
`>`, at its end alone, for one or more, as NATS has them.
"""

import re
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

from runtime.errors import Invalid

MAX_CHARACTERS = 512
RUNS = "runs"
"""The first token of what the journal says: `runs.WORKFLOW.RUN.TYPE`. Nobody but the relay publishes under it."""
WHAT_IF = "what-if"
"""The same for runs that only ask what would have been, so that nobody acts on them by mistake."""
RESERVED = frozenset({RUNS, WHAT_IF})
INBOX = "_inbox"
"""The first token of subjects that a requester waits at for a reply."""
EVERYTHING = ">"

_SUBJECT = re.compile(r"[!-)+-\-/-=?-~]+(\.[!-)+-\-/-=?-~]+)*", re.ASCII)
"""Visible ASCII without `.`, `*` and `>`."""
_LONGEST_TOKEN = 120
_HEAD = 80


def checked_subject(text: str) -> str:
    """A subject that something may be published under. Raises Invalid."""
    if len(text) > MAX_CHARACTERS:
        raise Invalid(
            "bus.bad_subject",
            f"a subject has {len(text):,} characters; at most {MAX_CHARACTERS} are allowed: {text[:60]!r}…",
        )
    if not _SUBJECT.fullmatch(text) or text.startswith("$"):
        raise Invalid(
            "bus.bad_subject",
            f"{text!r} is no subject; expected tokens of visible ASCII characters with dots between them, without "
            "* and >, and without $ at its start, such as orders.created",
        )
    return text


def checked_filter(text: str) -> str:
    """A filter that somebody may subscribe to. Raises Invalid."""
    tokens = text.split(".")
    if tokens[-1] == ">":
        tokens.pop()
    if len(text) > MAX_CHARACTERS or not all(token == "*" or _SUBJECT.fullmatch(token) for token in tokens) or not text:
        raise Invalid(
            "bus.bad_filter",
            f"{text[:60]!r} chooses no subjects; expected tokens with dots between them, * for any one token and > at "
            "the end for all that follow, such as runs.*.*.step.failed or orders.>",
        )
    return text


@lru_cache(maxsize=4096)
def matches(wanted: str, subject: str) -> bool:
    """Whether a filter chooses a subject; both have been checked."""
    filters, tokens = wanted.split("."), subject.split(".")
    for place, part in enumerate(filters):
        if part == ">":
            return len(tokens) > place
        if place >= len(tokens) or part not in ("*", tokens[place]):
            return False
    return len(filters) == len(tokens)


def token(text: str) -> str:
    """Any text as one token: what no token may hold is written as %XX, and a long one is cut and told by its hash."""
    spelled = quote(text, safe="-_~!:=@,;+()", errors="surrogatepass").replace(".", "%2E") or "%"
    if len(spelled) <= _LONGEST_TOKEN:
        return spelled
    return f"{spelled[:_HEAD]}~{sha256(text.encode(errors='surrogatepass')).hexdigest()[:24]}"


def entry_subject(workflow: str, run: str, kind: str, *, is_what_if: bool = False) -> str:
    """The subject of a journal entry."""
    return f"{WHAT_IF if is_what_if else RUNS}.{_token(workflow)}.{run}.{kind}"


_token = lru_cache(maxsize=1024)(token)
