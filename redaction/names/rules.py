"""From what a model takes for names, and words that are names anyway, to finds: where a name begins and ends. Pure.

A model is sure of too much: of products, headings and commands. So words that name nobody are cut off, and what is
left
must look like a name.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import re2

from redaction.findings import Finding
from redaction.names.given import AMBIGUOUS, GIVEN, SURNAMES, WORDY_SURNAMES
from redaction.names.pieces import WORD, WRAPPED, Piece, is_capitalised_name, is_contraction, titled
from redaction.names.things import BILL, EPONYM, NAMED_AFTER, STOP, VERSIONED
from redaction.names.words import (
    COUNTRIES,
    COUNTRY_PHRASES,
    HONORIFICS,
    PARTICLES,
    PLACES,
    plain,
    words_of,
)

SURE, LIKELY, POSSIBLE = 0.85, 0.75, 0.6
_PROSE_WORDS = 2
"""Words in lower case that make prose of a piece, and half of all of them."""
MAX_WORDS = 5
_SHORTEST_FORMED = 6
"""Words of a name."""

_JOINED = re2.compile(r"[ \t]+|\.[ \t]*|[ \t]*\n[ \t]*")
"""What may stand between two words of one name."""
_LISTED = re2.compile(r",? (?:and|or|&|with|und|et|y) |, | / |; ")
"""What may stand between two names."""
_IN_CODE = frozenset("_=@/\\#$<>{}[]()|~^*&%:0123456789")
"""A word that touches one of these is part of an identifier, an address or a command."""
_OPENS = frozenset("([{<>\"'“‘=:#*|/")
_CLOSES = frozenset(")]}><\"'”’:*|/")
_PREFIXED = re2.compile(r"(?:Mc|Mac|O['’]|D['’]|De|Di|Du|La|Le|Fitz|Van|St)\p{Lu}\p{Ll}+")
_PLACE_WORDS = words_of(
    """
    new north south east west upper lower great little fort port lake mount saint old city county valley park hill
    beach bay red long island high green black white santa san los las el la
    """
)
_COMPANY = words_of(
    """
    inc ltd llc corp co gmbh ag plc company corporation group bank university institute college foundation hospital
    clinic systems technologies solutions software labs partners holdings association society agency council press
    committee ministry department industries enterprises ventures capital insurance consulting services museum
    theatre theater airlines airways motors records pictures studios
    """
)
"""What the names of companies end with."""
_MODEL = re2.compile(r"[ -](?:[A-Za-z]{1,3}-?[0-9]|[0-9]+[A-Za-z.-])|-[0-9]")
_MARKS = " \t\n\"'“‘([-*•#>"
"""What may stand before the first word of a sentence."""
_AS_NAME = "Name: "
_FORMED = re2.compile(
    r"(?:ed|ing|ive|able|ible|tion|sion|ment|ness|less|ful|ous|istic|ize|ise|ity|ism|ware|ology|graphy|scape|board|"
    r"book|phone|point|ly|ics|ance|ence|ory|ant|ency|ancy|mart|soft|tech|bot|base|flow|hub|lab|ify)$"
)
"""How English forms words that are no names."""
_SURNAME = (
    "ová", "ský", "ská", "cký", "cká", "ński", "ńska", "wski", "wska", "cki", "cka", "ewicz", "owicz", "czyk",
    "czak", "niak", "ák", "ík", "ček", "čík", "nen", "oğlu", "oglu", "escu", "ić", "ović", "ević", "opoulos",
    "opoulou", "akis", "idis", "iadis", "dóttir", "dottir", "sson", "sdotter", "shvili", "adze", "enko", "chuk",
    "qvist", "quist", "ström", "ės", "ienė", "aitė", "iņš", "zadeh", "ιδης", "άκης", "όπουλος", "опулос", "енко",
    "ова", "ева", "ский", "ская", "ович", "евич", "чук",
)  # fmt: skip
"""How family names of a language end and few other words do."""
_CUE = re2.compile(
    r"(?i)\b(?:(?:my name is|name's|i am|i'm|this is|call me|named|signed(?: by)?|sincerely|regards|cheers"
    r"|thanks|best|"
    r"dear|hi|hello|hey|attn:?|(?:attention|contact(?: person)?|patient|customer|client|employee|author|assignee|from|"
    r"to|cc|name|by):|ask for|spoke (?:to|with)|talk(?:ed)? (?:to|with)|met with|on behalf of|"
    r"husband|wife|son|daughter|mother|father|brother|sister|friend|colleague|boss|manager),?\s+|c/o\s+|"
    r"(?:customer|patient|client|user|employee|member|student|tenant|caller) ['\"‘“])$"
)
"""What introduces a name."""
_TO = re2.compile(
    r"(?i)\b(?:e-?mailed|contacted|phoned|texted|called|messaged|told|asked|invited|(?:assigned|escalated|reports?|"
    r"reported|sent|speaking|spoken|belongs?|transferred|forwarded|addressed|refunded|paid|payable|married) to|"
    r"(?:login|logout|request|profile|account|record|file|details|address|number|signature|photo) (?:of|for)|"
    r"(?:signed|reviewed|approved|written|created|submitted|requested|prepared|seen|treated|examined|filed|owned|"
    r"prescribed|reported|booked|ordered) by|(?:call|meeting|appointment|interview|chat|conversation|session|lunch) "
    r"with|between|transfer \$?[0-9.,]+ to) $"
)
"""What is done to a person."""
_CUE_CHARS = 28
_PLACE_PREFIX = re2.compile(
    r"\b(?:New|North|South|East|West|Upper|Lower|Great|Fort|Port|Mount|Lake|Saint|Santa?|St\.?) $"
)
_THERE = re2.compile(
    r"(?i)\b(?:(?:lives?|lived|living|born|raised|grew up|based|located|resid(?:es?|ed|ing)|staying|stayed|"
    r"hospitali[sz]ed|office|offices|branch|clinic|weather|apartment|house|hotel|home) (?:in|near|at)|"
    r"(?:moved|moving|relocated?|travell?ed|travell?ing|flew|flying|flight|drove|trip|train|bus|ship it|shipped|"
    r"deliver|delivered) (?:to|from)) $"
)
"""What stands before a place."""
_DOES = re2.compile(
    r"\s(?:will |would |has |had )?(?:asks?|asked|says?|said|calls?|called|writes|wrote|tells|told|repl(?:y|ies|ied)|"
    r"spoke|speaks|meets|met|thinks|thought|lives|lived|works|worked|wants|wanted|signed|complained|arrived|emailed|"
    r"phoned|visited|presented|attended|reported|agreed|joined|owes|was born|is (?:a|the|my|our)) "
)
"""What a person does."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a piece."""

    start: int
    end: int
    text: str
    lower: str


Span = tuple[int, int, str]
"""What the model says: start and end in the piece, and PERSON or LOCATION."""


def findings(piece: Piece, spans: Iterable[Span]) -> list[Finding]:
    """The finds in a piece, with offsets of the text that it is of; they may overlap."""
    words = _words(piece.text)
    runs = list(_runs(words, piece))
    found = [*_known(piece, words, runs)]
    is_code = piece.is_code
    for span in spans:
        found += _people(piece, runs, span, is_code) if span[2] == "PERSON" else _places(piece, words, span, is_code)
    found += _listed(piece, runs, found)
    if piece.has_mixed_case and not is_code:
        found += _known_places(piece, runs)
    found = [each for each in found if not _is_thing(each, piece.text)]
    return [
        Finding(each.start + piece.start, each.end + piece.start, each.type, each.score, each.recogniser, each.context)
        for each in found
    ]


def _is_thing(found: Finding, text: str) -> bool:
    """Whether what looks like a name is that of a brand, a work, an idea or a program."""
    if found.recogniser in ("name_cue", "place_list"):
        return False
    name = text[found.start : found.end].replace("-", " ")
    lowered, behind = plain(name), text[found.end : found.end + 24]
    if lowered in NAMED_AFTER or (lowered == "bill" and BILL.search(behind)):
        return True
    is_known = lowered in GIVEN or lowered in SURNAMES
    return " " not in name and bool(EPONYM.search(behind) or (VERSIONED.search(behind) and not is_known))


def question(piece: Piece) -> tuple[str, int] | None:
    """What the model is asked about a piece, and how much further on the piece stands in it; None for nothing.

    Of less than three words it makes what it likes, and source text is no sentence. Two or three words that could be
    a whole name are asked about as such.
    """
    if piece.is_code:
        return None
    words = WORD.findall(piece.text)
    if piece.has_mixed_case and _is_odd_name(words):
        return _AS_NAME + piece.text, len(_AS_NAME)
    if len(words) < 3:
        return None
    return piece.text if piece.has_mixed_case else titled(piece.text), 0


def has_all_names(piece: Piece, found: Sequence[Finding]) -> bool:
    """Whether finds that need no model hold every capitalised word of a piece: the model would add nothing.

    The word that a sentence begins with may be an everyday one, and a title belongs to the name behind it.
    """
    if not found or not piece.has_mixed_case:
        return False
    return all(
        not word.text[0].isupper()
        or word.lower in HONORIFICS
        or (number == 0 and word.lower in STOP)
        or any(each.start <= word.start + piece.start and word.end + piece.start <= each.end for each in found)
        for number, word in enumerate(_words(piece.text))
    )


def odd_names(piece: Piece) -> Iterator[Piece]:
    """Two or three words in prose that could be a name no list knows: the model is asked about them alone, too.

    In the middle of a sentence it takes a foreign name for an organisation or for nothing.
    """
    if piece.is_code or not piece.has_mixed_case:
        return
    words = _words(piece.text)
    if sum(word.text[0].islower() for word in words) < max(_PROSE_WORDS, len(words) // 2):
        return
    for run in _runs(words, piece):
        is_odd = _is_odd_name([word.text for word in run])
        if is_odd and not _is_known(run, piece, False) and run[-1].lower not in _COMPANY:
            yield Piece(piece.start + run[0].start, piece.text[run[0].start : run[-1].end])


def _is_odd_name(words: Sequence[str]) -> bool:
    """Whether words may be a name that no list knows: capitalised, and neither everyday words nor formed like one."""
    if len(words) not in (2, 3) or not all(word[0].isupper() and len(word) > 1 for word in words):
        return False
    first, *others = words
    rest = others if plain(first) in GIVEN else words
    return all(is_capitalised_name(word) and plain(word) not in STOP and not _FORMED.search(word) for word in rest)


def is_formed_surname(text: str) -> bool:
    """Whether a word ends as the family names of some language do: `Sedláčková`, `Räsänen`, `Karaosmanoğlu`."""
    return len(text) >= _SHORTEST_FORMED and plain(text) not in STOP and text.endswith(_SURNAME)


def _words(text: str) -> list[Word]:
    found = []
    for match in WORD.finditer(text):
        start, end = match.span()
        shown = match.group()
        if shown[-2:] in ("'s", "’s", "'S", "’S"):
            shown, end = shown[:-2], end - 2
        found.append(Word(start, end, shown, plain(shown)))
    return found


def _runs(words: Sequence[Word], piece: Piece) -> Iterator[list[Word]]:
    """Words that stand together and may be one name each: capitalised, or a particle between two such."""
    run: list[Word] = []
    for word in words:
        if run and not _is_joined(piece.text, run[-1], word):
            yield from _trimmed(run)
            run = []
        if _may_be_in_name(word, piece, bool(run)):
            run.append(word)
        else:
            yield from _trimmed(run)
            run = []
    yield from _trimmed(run)


def _is_joined(text: str, first: Word, second: Word) -> bool:
    gap = text[first.end : second.start]
    if gap == " ":
        return True
    if _JOINED.fullmatch(gap) is None or (gap[:1] == "." and len(first.text) > 2):
        return False
    return "\n" not in gap or first.end - (text.rfind("\n", 0, first.end) + 1) >= WRAPPED


def _may_be_in_name(word: Word, piece: Piece, is_behind_name: bool) -> bool:
    text = piece.text
    if _touches_code(text, word):
        return False
    if not piece.has_mixed_case:
        return word.lower in GIVEN or word.lower in SURNAMES or not (word.lower in STOP or len(word.lower) < 3)
    if not word.text[0].isupper():
        return is_behind_name and word.lower in PARTICLES
    if is_contraction(word.lower):
        return False
    if word.lower in STOP and not (word.lower in GIVEN or (is_behind_name and word.lower in SURNAMES)):
        return False
    if word.lower not in GIVEN and _FORMED.search(word.text) and not text[: word.start].strip(_MARKS):
        return False  # `Assigned`, `Escalating`: the verb that a sentence begins with
    if len(word.text) == 1:
        return is_behind_name or text[word.end : word.end + 1] == "."
    return word.lower in GIVEN or word.lower in SURNAMES or not _is_identifier(word.text, is_behind_name)


def _touches_code(text: str, word: Word) -> bool:
    before, after = text[word.start - 1 : word.start], text[word.end : word.end + 1]
    is_dotted = after == "." and text[word.end + 1 : word.end + 2].isalnum() and len(word.text) > 1
    is_behind_dot = before == "." and text[max(0, word.start - 3) : word.start - 1].isalpha()
    is_tied = (before in _IN_CODE and before not in _OPENS) or (after in _IN_CODE and after not in _CLOSES)
    is_called = after in ("=", "/") or before in ("/", "\\") or text[word.end : word.end + 2] in ("()", "::")
    return bool((before or after) and (is_tied or is_called)) or is_dotted or (is_behind_dot and len(word.text) > 3)


def _is_identifier(text: str, is_behind_name: bool) -> bool:
    """`PostgreSQL`, `camelCase`, `HTTP`: capitals where names have none."""
    if text.isupper():
        return (not is_behind_name and len(text) <= 5) or len(text) <= 2
    inner = text.replace("-", " ").replace("'", " ").replace("’", " ").split()
    return any(not part[1:].islower() and len(part) > 1 and not _PREFIXED.fullmatch(part) for part in inner)


def _trimmed(run: list[Word]) -> Iterator[list[Word]]:
    while run and (run[-1].lower in PARTICLES and not run[-1].text[0].isupper()):
        run = run[:-1]
    while run and run[0].lower in HONORIFICS:
        run = run[1:]
    if run:
        yield run


def _known(piece: Piece, words: Sequence[Word], runs: Sequence[list[Word]]) -> Iterator[Finding]:
    """Names that are names without a model: known ones, and what stands behind a title or `my name is`."""
    is_code = piece.is_code
    for run in runs:
        name = run[:MAX_WORDS] if piece.has_mixed_case else _caseless(run)
        if not name:
            continue
        if _is_introduced(piece, words, name[0]):
            yield _find("PERSON", name, SURE, "name_cue")
        elif _is_known(name, piece, is_code) or (not is_code and _acts(name, piece)):
            yield _find("PERSON", name, LIKELY if len(name) > 1 else POSSIBLE, "name_list")
    for first, second in pairwise(runs):
        gap = piece.text[first[-1].end : second[0].start]
        if gap in (", ", ",") and _is_last_first(first, second, piece):
            yield _find("PERSON", [first[-1], *second[:2]], SURE, "last_first")


def _listed(piece: Piece, runs: Sequence[list[Word]], found: Sequence[Finding]) -> Iterator[Finding]:
    """Two or three words beside a person, with a comma or an `and` between them: `Maria Becker and Xqwert Zuiop`."""
    if piece.is_code or not piece.has_mixed_case:
        return
    people = {each.start for each in found if each.type == "PERSON"} | {
        each.end for each in found if each.type == "PERSON"
    }
    known = {each.start for each in found}
    for first, second in pairwise(runs):
        gap = piece.text[first[-1].end : second[0].start]
        if _LISTED.fullmatch(gap) is None:
            continue
        for run, place in ((second, first[-1].end), (first, second[0].start)):
            if place in people and run[0].start not in known and len(run) in (2, 3) and run[-1].lower not in _COMPANY:
                yield _find("PERSON", run, POSSIBLE, "name_beside_name")


def _caseless(run: list[Word]) -> list[Word]:
    """A known given name and a known surname behind it: where case says nothing, no other word looks like a name."""
    for first, second in pairwise(run):
        if first.lower in GIVEN and second.lower in SURNAMES:
            return [first, second]
    return [word for word in run if word.lower in GIVEN][:1]


def _is_known(name: Sequence[Word], piece: Piece, is_code: bool) -> bool:
    given = [word for word in name if word.lower in GIVEN]
    sure = [word for word in given if word.lower not in AMBIGUOUS]
    surname = name[-1].lower.rpartition("-")[2]
    has_surname = len(name) > 1 and (surname in SURNAMES or is_formed_surname(name[-1].text))
    if name[-1].lower in _COMPANY:
        return False
    if len(name) == 1:
        return bool(sure) and not is_code and piece.has_mixed_case
    if has_surname and len(name) < 4 and surname not in WORDY_SURNAMES and not is_code:
        return True
    return name[0].lower in GIVEN and (has_surname or bool(sure) or name[0].lower not in STOP)


def _acts(name: Sequence[Word], piece: Piece) -> bool:
    """Whether two or three words that are none we know do what a person does, or have it done to them."""
    count = sum(word.text[0].isupper() for word in name)
    if not (count in (2, 3) and piece.has_mixed_case and name[-1].lower not in _COMPANY):
        return False
    behind = piece.text[name[-1].end : name[-1].end + 24]
    before = piece.text[max(0, name[0].start - _CUE_CHARS) : name[0].start]
    return _DOES.match(behind) is not None or _TO.search(before) is not None


def _is_introduced(piece: Piece, words: Sequence[Word], first: Word) -> bool:
    before = piece.text[max(0, first.start - _CUE_CHARS) : first.start]
    title = before.rstrip(" .").rpartition(" ")[2].rpartition("\n")[2].lstrip("(\"'").lower()
    if before.endswith((" ", ".")) and title in HONORIFICS and (title not in STOP or piece.has_mixed_case):
        return piece.has_mixed_case or first.lower in GIVEN or first.lower in SURNAMES
    if not piece.has_mixed_case and first.lower not in GIVEN:
        return False
    return _CUE.search(before) is not None and first.lower not in COUNTRIES and first.lower not in PLACES


def _is_last_first(first: Sequence[Word], second: Sequence[Word], piece: Piece) -> bool:
    last, given = first[-1], second[0]
    is_listing = last.lower in GIVEN and last.lower not in SURNAMES
    return (
        given.lower in GIVEN
        and not is_listing
        and last.lower not in PLACES
        and (last.lower in SURNAMES or given.lower not in AMBIGUOUS)
        and (piece.has_mixed_case or last.lower in SURNAMES or last.text.isupper())
    )


def _people(piece: Piece, runs: Sequence[list[Word]], span: Span, is_code: bool) -> Iterator[Finding]:
    for run in runs:
        name = [word for word in run if word.start < span[1] and word.end > span[0]]
        if not name or name[-1].lower in _COMPANY:
            continue
        lowers = [word.lower for word in name]
        is_known = any(lower in GIVEN for lower in lowers) or lowers[-1] in SURNAMES
        if " ".join(lowers) in COUNTRIES or " ".join(lowers) in COUNTRY_PHRASES:
            continue
        if not piece.has_mixed_case or is_code:
            is_name = is_known and len(name) > 1
        elif len(name) == 1:
            is_name = is_known or not (_has_stop_word(piece.text, span) or _is_label(piece.text, name[0]))
        else:
            is_name = True
        if is_name and any(len(lower) > 1 for lower in lowers):
            yield _find("PERSON", _whole(run, name), SURE if len(name) > 1 else LIKELY, "spacy")


def _is_label(text: str, word: Word) -> bool:
    """`SQLSTATE`, `Galaxy` before `S24`, `PPU` before `-5294`: a word alone that no person or place is called by."""
    return len(word.text) < 3 or word.text.isupper() or _MODEL.match(text[word.end : word.end + 16]) is not None


def _has_stop_word(text: str, span: Span) -> bool:
    """Whether the model took a heading for a name: `Customer Relations`."""
    return any(word[0].isupper() and word.lower() in STOP for word in WORD.findall(text[span[0] : span[1]]))


def _whole(run: Sequence[Word], name: Sequence[Word]) -> Sequence[Word]:
    """The whole run, where the model has taken a part of a name."""
    return run if len(run) <= MAX_WORDS else name


def _places(piece: Piece, words: Sequence[Word], span: Span, is_code: bool) -> Iterator[Finding]:
    inside = [word for word in words if word.start >= span[0] and word.end <= span[1]]
    while inside and not _begins_place(inside[0], len(inside)):
        inside = inside[1:]
    while inside and (
        not inside[-1].text[0].isupper() or (inside[-1].lower in STOP and inside[-1].lower not in _PLACE_WORDS)
    ):
        inside = inside[:-1]
    if not inside or any(_touches_code(piece.text, word) for word in inside):
        return
    phrase = " ".join(word.lower for word in inside)
    is_known = phrase in PLACES or inside[-1].lower in PLACES
    if phrase in COUNTRIES or phrase in COUNTRY_PHRASES or all(word.lower in STOP for word in inside):
        return
    is_heading = _has_stop_word(piece.text, span)
    is_odd = len(inside) == 1 and (
        is_heading or _is_identifier(inside[0].text, False) or _is_label(piece.text, inside[0])
    )
    if is_known or not (is_odd or is_code or not piece.has_mixed_case):
        yield _find("LOCATION", inside, SURE if len(inside) > 1 else LIKELY, "spacy")


def _known_places(piece: Piece, runs: Sequence[list[Word]]) -> Iterator[Finding]:
    """Towns that a list knows, and what stands behind `lives in`."""
    for run in runs:
        before = piece.text[max(0, run[0].start - _CUE_CHARS) : run[0].start]
        phrase = " ".join(word.lower for word in run)
        if phrase in PLACES and phrase not in STOP and phrase not in GIVEN and phrase not in SURNAMES:
            prefix = _PLACE_PREFIX.search(before)
            start = run[0].start - len(prefix.group()) if prefix else run[0].start
            yield Finding(start, run[-1].end, "LOCATION", POSSIBLE, "place_list")
        elif len(run) <= 3 and _THERE.search(before) and phrase not in COUNTRIES and phrase not in COUNTRY_PHRASES:
            yield _find("LOCATION", run, POSSIBLE, "place_cue")


def _begins_place(word: Word, count: int) -> bool:
    if not word.text[0].isupper():
        return False
    return word.lower not in STOP or (word.lower in _PLACE_WORDS and count > 1)


def _find(entity: str, words: Sequence[Word], score: float, recogniser: str) -> Finding:
    return Finding(words[0].start, words[-1].end, entity, score, recogniser)
