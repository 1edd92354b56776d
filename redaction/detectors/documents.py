"""Values by the place that a document gives them: address books, payments, letters in LaTeX, chats, manifests,
passports.

Each form is looked for by a mark that other texts do not have.
"""

from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import field as made_by

import re2

from redaction.detectors.rules import latin, options
from redaction.detectors.tables import entities_of, fits
from redaction.findings import Finding
from redaction.keys import NAMES, ROLES, entity_of_key, is_place, is_plausible, words_of
from redaction.wording import NO_NAMES, is_name

SCORE = 0.8
_ADDRESS_CARD = re2.compile(
    rb"(?:^|[\r\n]|\\n)(?:item[0-9]{1,2}\.)?ADR(?:;[^:\r\n]{0,80})?:(?P<v>[^\r\n\\]{3,300})", options()
)
_MECARD = re2.compile(rb"MECARD:(?P<v>[^\r\n]{5,600});;", options())
_MECARD_FIELDS = {"N": "PERSON", "TEL": "PHONE", "EMAIL": "EMAIL", "ADR": "ADDRESS", "BDAY": "DATE_OF_BIRTH"}
_PARTY = re2.compile(rb":5[0-9][A-Z]?:(?P<v>(?:[^\r\n]{1,80}\r?\n){1,7})", options())
"""Fields 50 to 59 of a payment message: parties (SWIFT MT 103)."""
_LATEX = re2.compile(
    rb"\\(?P<key>[a-zA-Z]{2,24})(?:\[[^\]\r\n]{0,60}\])?\{(?P<w>letter\}\{)?(?P<v>[^{}]{2,300})\}", options()
)
_LATEX_NAMES = frozenset(
    ("signature", "author", "name", "recipient", "letter", "opening", "closing", "patient", "from", "to")
)
_SPEAKER = re2.compile(
    rb"(?:^|[\r\n]|\\n)[ \t]{0,4}[\[(<]{0,2}(?:[0-9/.\-]{6,10},? (?:at )?)?"
    rb"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[APap][Mm])?"
    rb"[\])>]?[ ,\-]{0,4}<?(?P<v>[^\r\n:<>\[\]|={}0-9]{3,40})(?:>|:) ",
    options(),
)
"""Who says a line of a chat: behind the time."""
_TASK = re2.compile(
    rb"\b(?:TODO|FIXME|XXX|HACK|BUG|NOTE|REVIEW|OWNER|AUTHOR|CC)[(\[](?P<v>[A-Z\xc0-\xde?][a-z\xdf-\xff'?\-]{2,24}"
    rb"(?: [A-Z\xc0-\xde?][a-z\xdf-\xff'?\-]{1,24}){0,2})[)\]]",
    options(),
)
_LINKED = re2.compile(rb"\[(?P<v>[^\[\]\r\n]{3,60})\]\((?:mailto|tel|sms):", options())
_PAIR = re2.compile(
    rb"(?:^|[\r\n {,-])[\"']?(?i:name|key)[\"']?:[ ]{0,3}[\"']?(?P<key>[A-Za-z_][A-Za-z0-9_.\-]{1,60})"
    rb"[\"']?,?[ ]*\r?\n?[ \t]{0,40}[\"']?(?i:value)[\"']?:[ ]{0,3}"
    rb"(?:\"(?P<v>[^\"\r\n]{2,400})\"|'(?P<w>[^'\r\n]{2,400})'|(?P<x>[^\s\"'#,}]{2,400}))",
    options(),
)
"""A variable of a container: its name on one line, its value on the next."""
_MANIFEST = re2.compile(
    rb"(?m)^(?P<v>[ \t]*(?P<item>- )?)(?:[\"']?kind[\"']?:[ ]*[\"']?(?P<kind>[A-Za-z]{1,64})[\"']?,?[ \t]*\r?$"
    rb"|(?P<data>(?:data|stringData):[ \t]*\r?\n)|(?P<apart>---)|[^\s])",
    options(),
)
"""Lines of manifests: of which kind one is, where its data begins, and what parts one from the next."""
_SECRET_KINDS = (b"Secret", b"SealedSecret")
_FARTHEST_KIND = 4_000
_ENTRY = re2.compile(
    rb"(?P<v>[ \t]+)[\"']?[A-Za-z0-9_.\-]{1,253}[\"']?:[ \t]*[\"']?"
    rb"(?P<w>[^\s\"'|>][^\r\n\"']+)[\"']?[ \t]*(?:\r?\n|$)",
    options(),
)
_ROW = re2.compile(rb"(?is)<tr[^>]{0,200}>(?P<v>.{5,900}?)</tr>", options())
_CELL = re2.compile(rb"(?i)<t[hd][^>]{0,200}>(?:<[a-z]{1,6}[^>]{0,200}>){0,2}(?P<v>[^<]{0,300})", options())
_SEGMENT = re2.compile(rb"(?:^|['\r\n])(?P<key>NAD|CTA|COM)\+(?P<v>[^'\r\n]{3,400})", options())
"""Segments of EDIFACT about who takes part: name and address, contact, number (UN/EDIFACT D.96A)."""
_ELEMENT = re2.compile(
    rb"\(?(?P<key>[0-9A-Fa-f]{4},[0-9A-Fa-f]{4})\)? (?P<w>[A-Z]{2}) ?[:=]? ?\[(?P<v>[^\]\r\n]{2,120})\]", options()
)
_ELEMENTS = {
    "0010,0020": "MEDICAL_RECORD", "0010,0030": "DATE_OF_BIRTH", "0010,1000": "MEDICAL_RECORD", "0010,1040": "ADDRESS",
    "0010,2154": "PHONE", "0010,21b0": "", "0038,0010": "MEDICAL_RECORD", "0008,0050": "MEDICAL_RECORD",
}  # fmt: skip
"""Elements of DICOM about a patient (PS3.15, annex E); every one of the kind PN is a name."""
_ROLE_ID = re2.compile(
    rb"<patientRole[^>]{0,120}>\s{0,80}<id [^>]{0,120}?extension=\"(?P<v>[^\"<>]{2,64})\"", options()
)
"""Whose a clinical document is (HL7 CDA)."""
_DEFAULT = re2.compile(
    rb"(?s)\bvariable\s{1,4}\"(?P<key>[A-Za-z0-9_\-]{2,64})\"\s{0,4}\{[^{}]{0,400}?\bdefault\s{0,12}=\s{0,4}\"(?P<v>[^\"\r\n]{2,400})\"",
    options(),
)
"""What a variable of Terraform is when nobody says."""
_REMITTED = re2.compile(rb"\?(?P<key>3[123])(?P<v>[^?\r\n]{3,60})", options())
_MACHINE_READABLE = re2.compile(rb"\b[PIACV][A-Z<][A-Z<]{3}[A-Z0-9<]{25,40}(?:\s{1,3}[A-Z0-9<]{28,44}){0,2}", options())
"""The lines for machines of a passport or an identity card (ICAO 9303)."""


class Documents:
    """Values by their place. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """What stands in the places of people, numbers and secrets; they may overlap."""
        data: bytes | None = None
        for marks, read in _READERS:
            if any(mark in text for mark in marks):
                data = latin(text) if data is None else data
                yield from read(text, data)


def _cards(text: str, data: bytes) -> Iterator[Finding]:
    for match in _ADDRESS_CARD.finditer(data):
        start = match.start(1)
        for number, part in enumerate(text[start : match.end(1)].split(";")):
            if number < 6 and len(part) > 1:
                entity = "LOCATION" if number == 3 and is_place(part) else "ADDRESS"
                yield Finding(start, start + len(part), entity, SCORE, "address_card")
            start += len(part) + 1
    for match in _MECARD.finditer(data):
        start = match.start(1)
        for field in text[start : match.end(1)].split(";"):
            name, _, value = field.partition(":")
            if value and name in _MECARD_FIELDS:
                yield Finding(start + len(name) + 1, start + len(field), _MECARD_FIELDS[name], SCORE, "me_card")
            start += len(field) + 1


def _parties(text: str, data: bytes) -> Iterator[Finding]:
    """Account, name and address of who pays and who is paid; a bank is named by its code alone."""
    at = 0
    while (match := _PARTY.search(data, at)) is not None:
        at, is_named = match.start(1), False
        for line in text[at : match.end(1)].splitlines(keepends=True):
            bare = line.rstrip("\r\n")
            if bare.startswith((":", "-")):
                break
            if bare.startswith("/") and len(bare) > 6:
                yield Finding(at + 1, at + len(bare), "BANK_ACCOUNT", SCORE, "payment_party")
            elif not is_named and is_name(bare):
                is_named = True
                yield Finding(at, at + len(bare), "PERSON", SCORE, "payment_party")
            elif is_named and len(bare) > 2:
                yield Finding(at, at + len(bare), "ADDRESS", SCORE, "payment_party")
            at += len(line)


def _latex(text: str, data: bytes) -> Iterator[Finding]:
    for match in _LATEX.finditer(data):
        key = "letter" if match.start(2) >= 0 else text[match.start(1) : match.end(1)]
        start, end = match.span(3)
        value = text[start:end]
        entity = entity_of_key(key)
        if entity and is_plausible(entity, value):
            yield Finding(start, end, entity, SCORE, "latex")
        elif key.lower() in _LATEX_NAMES or (words_of(key) or ("",))[-1] in ROLES | NAMES:
            first = value.split("\\\\")[0].strip()
            if is_name(first):
                low = start + value.index(first)
                yield Finding(low, low + len(first), "PERSON", SCORE, "latex")


def _speakers(text: str, data: bytes) -> Iterator[Finding]:
    """Who speaks in a chat: behind a time in brackets, or in two lines at least; one alone is a line of a log."""
    found, is_chat = list[Finding](), False
    for match in _SPEAKER.finditer(data):
        start, end = match.span(1)
        said = text[start:end].rstrip()
        if is_name(said) and not any(word.lower() in NO_NAMES for word in said.split()):
            is_chat = is_chat or any(mark in data[match.start() : start] for mark in (b"[", b"(", b"<"))
            found.append(Finding(start, start + len(said), "PERSON", SCORE, "speaker"))
    if is_chat or len(found) > 1:
        yield from found


def _noted(text: str, data: bytes) -> Iterator[Finding]:
    for pattern in (_TASK, _LINKED):
        for match in pattern.finditer(data):
            start, end = match.span(1)
            value = text[start:end]
            if is_name(value, least=1) and value.lower() not in NO_NAMES:
                yield Finding(start, end, "PERSON", SCORE, "noted")


def _variables(text: str, data: bytes) -> Iterator[Finding]:
    for match in _PAIR.finditer(data):
        entity = entity_of_key(text[match.start(1) : match.end(1)])
        start, end = next(match.span(group) for group in (2, 3, 4) if match.start(group) >= 0)
        if entity and is_plausible(entity, text[start:end]):
            yield Finding(start, end, entity, SCORE, "variable")


def _secrets(text: str, data: bytes) -> Iterator[Finding]:
    """Every value of a Kubernetes secret, whatever its name."""
    for at, outer in _secret_blocks(data):
        while (entry := _ENTRY.match(data, at)) is not None and entry.end(1) - entry.start(1) > outer:
            start, end = entry.span(2)
            value = text[start:end].rstrip()
            if is_plausible("API_KEY", value):
                yield Finding(start, start + len(value), "API_KEY", 0.9, "kubernetes_secret")
            at = entry.end()


@dataclass(slots=True)
class _Manifest:
    """What stands in one mapping: its kinds, and the blocks of data that they say the kind of."""

    kinds: list[tuple[int, bool]] = made_by(default_factory=list)
    """Where each stands, and whether it is a secret's."""
    blocks: list[tuple[int, int, bool]] = made_by(default_factory=list)
    """Where each begins, where its entries do, and whether the last kind further out is a secret's."""

    def secrets(self) -> Iterator[int]:
        """Where the entries of secrets begin: of the blocks whose nearest kind is one."""
        for start, entries, is_secret in self.blocks:
            number = bisect(self.kinds, (start, True))
            near = self.kinds[max(0, number - 1) : number + 1]
            place, is_own = min(near, key=lambda kind: abs(kind[0] - start), default=(start, is_secret))
            if is_own and abs(place - start) <= _FARTHEST_KIND:
                yield entries


def _secret_blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the entries of every secret begin, and how far their block is set in."""
    open_ones = dict[int, _Manifest]()
    last = False
    for match in _MANIFEST.finditer(data):
        depth, start = match.end(1) - match.start(1), match.start()
        if match.start(5) >= 0 and not depth:
            yield from ((at, outer) for outer, each in open_ones.items() for at in each.secrets())
            open_ones, last = {}, False
        if match.start(2) >= 0 and depth in open_ones:
            yield from ((at, depth) for at in open_ones.pop(depth).secrets())
        if match.start(3) >= 0:
            last = match.group(3) in _SECRET_KINDS
            open_ones.setdefault(depth, _Manifest()).kinds.append((start, last))
        elif match.start(4) >= 0:
            open_ones.setdefault(depth, _Manifest()).blocks.append((start, match.end(), last))
    yield from ((at, outer) for outer, each in open_ones.items() for at in each.secrets())


def _rows(text: str, data: bytes) -> Iterator[Finding]:
    """Cells of tables in HTML: by their column, or beside an address of mail."""
    entities: list[str] = []
    for row in _ROW.finditer(data):
        low, high = row.span(1)
        cells = [cell.span(1) for cell in _CELL.finditer(data, low, high)]
        values = [text[start:end].strip() for start, end in cells]
        is_personal = "@" in text[low:high]
        if "<th" in text[low:high].lower() or not (entities or is_personal):
            entities = entities_of(values) if len(values) > 1 and all(values) else []
            if any(entities):
                continue
        for (start, end), value, entity in zip(cells, values, entities or [""] * len(cells), strict=False):
            if fits(entity, value):
                yield Finding(start, end, entity.lstrip("?!~"), SCORE, "html_column")
            elif is_personal and is_name(value):
                yield Finding(start, end, "PERSON", SCORE, "html_row")
            elif is_personal and is_plausible("PHONE", value) and not any(map(str.isalpha, value.partition("x")[0])):
                yield Finding(start, end, "PHONE", SCORE, "html_row")


def _segments(text: str, data: bytes) -> Iterator[Finding]:
    for match in _SEGMENT.finditer(data):
        kind, at = text[match.start(1) : match.end(1)], match.start(2)
        for number, part in enumerate(text[at : match.end(2)].split("+")):
            value, start, end = part.strip(":"), at, at + len(part)
            at = end + 1
            if (number == 0 and kind != "COM") or len(value) < 2:
                continue
            low = start + part.index(value)
            if kind == "NAD" and number > 1:
                entity = "PERSON" if number in (2, 3) and is_name(value) else "ADDRESS" if number > 3 else ""
            elif kind == "CTA":
                entity = "PERSON" if is_name(value) else ""
            else:
                value = value.partition(":")[0] if kind == "COM" else value
                entity = "PHONE" if kind == "COM" and is_plausible("PHONE", value) else ""
            if entity:
                yield Finding(low, low + len(value), entity, SCORE, "edifact")


def _elements(text: str, data: bytes) -> Iterator[Finding]:
    for match in _ELEMENT.finditer(data):
        start, end = match.span(3)
        kind = text[match.start(2) : match.end(2)]
        entity = "PERSON" if kind == "PN" else _ELEMENTS.get(text[match.start(1) : match.end(1)].lower(), "")
        if not entity:
            continue
        yield Finding(start, end, entity, SCORE, "dicom")
        if entity == "PERSON":
            at = start
            for part in text[start:end].split("^"):
                if len(part) > 2:
                    yield Finding(at, at + len(part), entity, SCORE, "dicom")
                at += len(part) + 1


def _keyed(text: str, data: bytes) -> Iterator[Finding]:
    for match in _ROLE_ID.finditer(data):
        start, end = match.span(1)
        yield Finding(start, end, "MEDICAL_RECORD", SCORE, "patient_role")


def _defaults(text: str, data: bytes) -> Iterator[Finding]:
    for match in _DEFAULT.finditer(data):
        start, end = match.span(2)
        entity = entity_of_key(text[match.start(1) : match.end(1)])
        if entity and is_plausible(entity, text[start:end]):
            yield Finding(start, end, entity, SCORE, "default")


def _remitted(text: str, data: bytes) -> Iterator[Finding]:
    """Account and name in the purpose of a statement (MT 940, field 86)."""
    for match in _REMITTED.finditer(data):
        start, end = match.span(2)
        value = text[start:end]
        if match.group(1) == b"31":
            if is_plausible("BANK_ACCOUNT", value):
                yield Finding(start, end, "BANK_ACCOUNT", SCORE, "statement")
        elif is_name(value):
            yield Finding(start, end, "PERSON", SCORE, "statement")


def _passports(text: str, data: bytes) -> Iterator[Finding]:
    for match in _MACHINE_READABLE.finditer(data):
        if b"<<" in match.group():
            yield Finding(match.start(), match.end(), "PASSPORT", 0.9, "machine_readable_zone")


_READERS: tuple[tuple[tuple[str, ...], Callable[[str, bytes], Iterator[Finding]]], ...] = (
    (("ADR", "MECARD:"), _cards),
    ((":50", ":59"), _parties),
    (("\\begin{", "\\signature", "\\address", "\\author", "\\name{", "\\phone", "\\email", "\\mail"), _latex),
    ((": ", "> "), _speakers),
    (("](mailto:", "](tel:", "TODO", "FIXME", "XXX", "HACK", "BUG", "NOTE", "OWNER", "AUTHOR", "CC("), _noted),
    (("value:", '"value"', "Value:"), _variables),
    (("Secret",), _secrets),
    (("<<",), _passports),
    (("<tr", "<TR"), _rows),
    (("NAD+", "CTA+", "COM+"), _segments),
    (("(0010,", "(0008,", "0010,00"), _elements),
    (("<patientRole",), _keyed),
    (("variable ",), _defaults),
    (("?31", "?32"), _remitted),
)
"""What a text has to hold, and who reads it then."""
