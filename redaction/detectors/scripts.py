"""Values behind labels in scripts other than Latin: `密码:…`, `اسم المريض: …`, `जन्म तिथि …`, names beside titles.

The patterns of the other detectors are over Latin-1; these look at the text as it is. Every pattern is bounded.
"""

import re
from collections.abc import Iterator

import re2

from redaction.detectors.places import places
from redaction.detectors.secrets import chosen, is_random
from redaction.findings import Finding
from redaction.scripts import (
    AFTER_NAMES,
    BARE_NAMES,
    BEFORE_NAMES,
    CHINESE_SURNAMES,
    FILLERS,
    KOREAN_SURNAMES,
    NO_NAMES,
    PARTICLES,
    UNSPACED,
    is_known_name,
    is_name,
    phrases,
    plain,
)
from redaction.wording import name_end

SCORE = 0.8
_NAMED: dict[str, str] = dict(phrases()) | dict.fromkeys(BARE_NAMES | set(map(plain, BARE_NAMES)), "NAME")
_LABEL = re2.compile("(?i)" + "|".join(re2.escape(phrase) for phrase in sorted(_NAMED, key=len, reverse=True)))
_TITLE = re2.compile(
    "|".join(re2.escape(title) for title in sorted({*BEFORE_NAMES, *map(plain, BEFORE_NAMES)}, key=len, reverse=True))
)
_FOREIGN = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_HAN = r"\u3005\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff"
_LETTER = r"[^\W\d_]|[\u0900-\u0963\u0980-\u0dff\u0e00-\u0e4e\u0300-\u036f\u0591-\u05c7\u064b-\u065f]"
_WORD = re.compile(rf"(?:{_LETTER})(?:{_LETTER}|['’\-]){{0,30}}")
_PARTICLE = re.compile("|".join(PARTICLES))
_GAP = re.compile(
    r"[)）\]】」』\"'*]{0,3}[ \t\u3000]{0,30}(?P<mark>[:：=|﹕；]|;(?= )|\.{2,30}|\n[ \t]{0,30}"
    r"(?=\S))?[ \t\u3000]{0,30}[\"'「『*(（\[【]{0,2}"
)
_PASSWORD = re.compile(r"[!-~]{4,64}")
_SAID_PASSWORD = re.compile(
    rf"(?:(?:{_LETTER}){{1,16}} ){{1,3}}(?=[!-~]{{0,63}}\d)(?=[!-~]{{0,63}}[A-Za-z])(?P<v>[!-~]{{6,64}})"
)
_NUMBER = re.compile(
    r"(?:[^\W\d_]{1,5}[ \-]?)?\d[\dA-Za-z]{0,24}(?:[\-./][\dA-Za-z]{1,12}){0,6}(?: \d{2,6}(?![\d年년]))*"
)
_DIALLED = re.compile(r"[+(]{0,2}\d[\d ().\-/]{4,24}\d")
_DAY = re.compile(
    r"\d{1,4} ?[./\-年년 ] ?\d{1,2} ?[./\-月월 ] ?\d{1,4}[日일]?"
    rf"|\d{{1,2}}\.? (?:του )?(?:{_LETTER}){{3,14}}\.? (?:του )?\d{{4}}|\d{{8}}(?!\d)"
)
_TOKEN = re.compile(r"[!-~]{8,512}")
_RUN = re.compile(rf"[{_HAN}・]{{1,10}}(?:[ \u3000][{_HAN}]{{1,6}}(?![{_HAN}]))?")
_HANGUL = re.compile(r"[가-힣]{2,5}(?![가-힣])|[가-힣]{1,2} [가-힣]{1,3}(?![가-힣])")
_CLOSED = re.compile(r"[\n\r;|<>\t\"{}。।]|\.(?: |$|(?=[^\x00-\x7f]))")
_HONOURED = re.compile(
    rf"(?P<v>[{_HAN}]{{1,8}}|[가-힣]{{2,5}})[ \u3000]?(?P<w>{'|'.join(AFTER_NAMES)})"
    r"(?=(?:께서?|에게|한테|이|가|은|는|의|과|와|을|를|도)?(?![가-힣]))"
)
_NOT_HONOURED = frozenset(
    [
        "客",
        "皆",
        "神",
        "王",
        "奥",
        "患者",
        "担当者",
        "利用者",
        "会員",
        "各位",
        "お母",
        "お父",
        "お子",
        "外国",
        "仏",
        "店員",
        "業者",
        "医者",
        "記者",
        "고객",
        "선생",
        "사장",
        "부모",
        "과장",
        "부장",
        "대리",
        "이용자",
        "구매자",
        "신청자",
        "지원자",
    ]
)
_LONGEST_NAME = 6
_MARK = r"[\u0900-\u0963\u0980-\u0dff\u0e00-\u0e4e\u0591-\u05c7\u064b-\u065f]"
_ABROAD = rf"(?:[^\W\d_A-Za-z\xc0-\u024f]|{_MARK})"
_NAME = (
    rf"(?P<v>[{_HAN}]{{2,5}}(?:[ \u3000][{_HAN}]{{1,4}})?|[가-힣]{{2,4}}"
    rf"|{_ABROAD}{{2,14}}(?: {_ABROAD}{{2,14}}){{1,3}})"
)
_BEFORE_HANGUL = re.compile(
    r"(?i)\b(?:name|person|owner|contact|customer|client|patient|user|author|by|call|dear|hi|hello|it's|for|to"
    r"|from|seat \w{1,4})\W{1,4}$"
)
"""What stands before a Korean name among Latin letters; most words of three syllables begin as some name does."""
_ISLAND = re.compile(rf"(?:^|[\x20-\x7e\n\r\t]){_NAME}(?=$|[\x20-\x7e\n\r\t])")
"""Letters of another script within text in Latin ones."""
_SIGNED = re.compile(
    r"(?i:с уважением|с наилучшими пожеланиями|всего доброго|спасибо|з повагою|дякую|поздрави|с уважение|с поштовањем"
    r"|срдачно|με εκτίμηση|φιλικά|ευχαριστώ)[,!.]?[ \t]{0,3}(?:\r?\n[ \t]{0,4}){1,3}(?P<v>[^\W\d_a-z])"
)
_LATIN_RATIO = 0.5
_CUE_CHARS = 20
_BEFORE_MAIL = re.compile(rf"(?:^|[^\w ]| ){_NAME}$")
_MAIL = re.compile(r"\"? ?<[A-Za-z0-9._%+\-]{1,64}@")
_LONGEST_BEFORE_MAIL = 40
_STANDING = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:CN|FN)[=:]\"?{_NAME}(?=[\n\r;:,\"]|$)",
        rf"(?:[\]>]|\d\d:\d\d) ?{_NAME}(?=: )",
        rf"\b(?:[Ss]hip to|[Bb]ill to|To|From|Cc|An|Von|De|À|Para|Da|Attn\.?)[:：] ?\n?[ \t]{{0,8}}{_NAME}"
        rf"(?=[\n\r]|$)",
        rf"[,，،、][ \t]{{0,3}}\r?\n[ \t]{{0,3}}{_NAME}[ \t]{{0,3}}$",
        rf"(?:此致|敬具|敬上|谨启|以上|草々)[ \t。]{{0,3}}\r?\n[ \t]{{0,3}}{_NAME}[ \t]{{0,3}}(?=[\n\r]|$)",
    )
)
"""A name in the place of one: in a calendar or an address book, of a speaker, above and at the end of a letter."""
_PLAUSIBLE_DIGITS = 4


class Scripts:
    """What labels, titles and addresses in other scripts than Latin tell. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The values; they may overlap."""
        if text.isascii() or _FOREIGN.search(text) is None:
            return
        labels = [(match.start(), match.end()) for match in _LABEL.finditer(text) if _is_whole(text, *match.span())]
        begun = {start for start, _ in labels}
        for start, end in labels:
            if end in begun:
                continue
            entity = _NAMED.get(text[start:end]) or _NAMED.get(text[start:end].lower(), "")
            yield from _behind(entity, text, end, begun)
        for match in _TITLE.finditer(text):
            if _is_whole(text, *match.span()):
                yield from _titled(text, match.end())
        yield from _honoured(text)
        yield from places(text)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a phrase is no part of a word; Arabic and Hebrew write one-letter words on to the next."""
    if text[start] >= UNSPACED:
        return True
    before, behind = text[start - 1 : start], text[end : end + 1]
    is_joined = before in ("و", "ل", "ب", "ו", "ה", "ב") and not text[start - 2 : start - 1].isalpha()
    return (not before.isalpha() or is_joined) and not _WORD.match(behind)


def _behind(entity: str, text: str, at: int, labels: set[int]) -> Iterator[Finding]:
    """The value behind a label that ends at `at`."""
    start, is_marked = _value_start(text, at)
    if start >= len(text) or start in labels:
        return
    if entity in ("PERSON", "NAME"):
        end = _name_end(text, start, labels) if is_marked or start > at else start
        if entity == "NAME" and not is_name(text[start:end]) and " " not in text[start:end]:
            return
        entity = "PERSON"
    elif entity == "ADDRESS":
        end = _address_end(text, start, labels) if is_marked else start
    else:
        end = _form_end(entity, text, start, is_marked=is_marked)
    if end > start:
        yield Finding(start, end, entity, SCORE, "foreign_label")


def _value_start(text: str, at: int) -> tuple[int, bool]:
    """Where the value begins, and whether a mark, or more than a blank, parts it from its label."""
    particle = _PARTICLE.match(text, at)
    at = particle.end() if particle else at
    is_marked = particle is not None
    for _ in range(4):
        gap = _GAP.match(text, at)
        assert gap is not None, "matches nothing at least"
        is_marked = is_marked or gap["mark"] is not None or gap.end() - at > 1
        at = gap.end()
        word = _WORD.match(text, at)
        if word is None or not (word.group() in FILLERS or plain(word.group()) in FILLERS):
            break
        is_marked = True
        at = word.end() + (text[word.end() : word.end() + 1] == ".")
    return at, is_marked


def _form_end(entity: str, text: str, start: int, *, is_marked: bool) -> int:
    """Where a value ends whose form is known."""
    match entity:
        case "PASSWORD":
            found = _PASSWORD.match(text, start)
            value = found.group().rstrip(".,;:)\"'") if found else ""
            if not value and (said := _SAID_PASSWORD.match(text, start)):
                return said.end()
            is_password = len(value) >= 4 and chosen(value) and (is_marked or any(map(str.isdigit, value)))
            return start + len(value) if is_password else start
        case "API_KEY" | "TOKEN":
            found = _TOKEN.match(text, start)
            return found.end() if found and is_random(found.group()) else start
        case "PHONE":
            found = _DIALLED.match(text, start)
            least = 6
        case "DATE_OF_BIRTH":
            found = _DAY.match(text, start)
            least = 3
        case _:
            found = _NUMBER.match(text, start)
            least = _PLAUSIBLE_DIGITS
    return found.end() if found and sum(map(str.isdigit, found.group())) >= least else start


def _name_end(text: str, start: int, labels: set[int]) -> int:
    """Where the name ends that begins at `start`; `start` itself when none does."""
    char = text[start]
    if char.upper() != char.lower():
        return name_end(text, start)
    if "가" <= char <= "힣":
        found = _HANGUL.match(text, start)
        return found.end() if found and found.end() - start <= _LONGEST_NAME else start
    if char >= UNSPACED:
        return _run_end(text, start, labels)
    end, at = start, start
    for _ in range(4):
        word = _WORD.match(text, at)
        if word is None or at in labels or word.group() in NO_NAMES:
            break
        end = word.end()
        at = end + (text[end : end + 1] == " ")
        if at == end:
            break
    return end


def _run_end(text: str, start: int, labels: set[int]) -> int:
    """The same where words run into each other: up to eight characters, and a second part behind a blank."""
    found = _RUN.match(text, start)
    if found is None:
        return start
    end = next((place for place in range(start + 1, found.end()) if place in labels), found.end())
    name = text[start:end].rstrip(" \u3000")
    for ending in AFTER_NAMES:
        name = name.removesuffix(ending)
    return start + len(name) if len(name) > 1 or name in CHINESE_SURNAMES else start


def _address_end(text: str, start: int, labels: set[int]) -> int:
    """Up to the end of the line, the sentence, or the next label; a number is in it."""
    stop = min(len(text), start + 120)
    closed = _CLOSED.search(text, start, stop)
    stop = closed.start() if closed else stop
    stop = min((place for place in labels if start < place < stop), default=stop)
    value = text[start:stop].rstrip(" .,，、،(（")
    is_address = any(map(str.isdigit, value)) and len(value) >= 6
    return start + len(value) if is_address else start


def _titled(text: str, at: int) -> Iterator[Finding]:
    """The name behind a title: two words where the second can be one, else one."""
    gap = re.compile(r"\.? {0,2}").match(text, at)
    start = gap.end() if gap else at
    first = _WORD.match(text, start) if start > at else None
    if first is None or first.group() in NO_NAMES or len(first.group()) < 2:
        return
    if first.group()[0].lower() != first.group()[0].upper():
        end = name_end(text, start)
    else:
        second = _WORD.match(text, first.end() + 1) if text[first.end() : first.end() + 1] == " " else None
        is_name_too = second is not None and second.group() not in NO_NAMES and (
            second.group().startswith(("ال", "בן", "בר", "אל")) or not text[second.end() : second.end() + 1].isspace()
            or "\u0900" <= second.group()[0] < "\u0980"
        )  # fmt: skip
        end = second.end() if second is not None and is_name_too else first.end()
    if end > start:
        yield Finding(start, end, "PERSON", SCORE, "foreign_title")


def _honoured(text: str) -> Iterator[Finding]:
    """Names by what is written behind them."""
    for match in _HONOURED.finditer(text):
        start, end = match.span("v")
        name = text[start:end]
        if name in _NOT_HONOURED or name.endswith(("자", "お客")):
            continue
        if "가" <= name[0] <= "힣":
            is_person = name[0] in KOREAN_SURNAMES and (len(name) in (3, 4) or match["w"] in ("씨", "드림", "올림"))
            begin = start
        else:
            begin = _surname_start(name, start, match["w"])
            is_person = begin < end
        if is_person:
            yield Finding(begin, end, "PERSON", SCORE, "honoured_name")
    yield from _standing(text)


def _standing(text: str) -> Iterator[Finding]:
    """Names in the places of names, and among letters of another script."""
    for pattern in _STANDING:
        for match in pattern.finditer(text):
            if is_name(match["v"]):
                yield Finding(match.start("v"), match.end("v"), "PERSON", SCORE, "standing_name")
    for match in _SIGNED.finditer(text):
        start = match.start("v")
        end = name_end(text, start)
        if end > start:
            yield Finding(start, end, "PERSON", SCORE, "signed_name")
    if sum(map(str.isascii, text)) > _LATIN_RATIO * len(text):
        for match in _ISLAND.finditer(text):
            before = text[max(0, match.start("v") - _CUE_CHARS) : match.start("v")]
            is_told = not "가" <= match["v"][0] <= "힣" or _BEFORE_HANGUL.search(before)
            if is_told and is_known_name(match["v"]):
                yield Finding(match.start("v"), match.end("v"), "PERSON", SCORE, "name_among_latin")
    for mail in _MAIL.finditer(text):
        first = max(0, mail.start() - _LONGEST_BEFORE_MAIL)
        named = _BEFORE_MAIL.search(text[first : mail.start()])
        if named and is_name(named["v"]):
            yield Finding(first + named.start("v"), mail.start(), "PERSON", SCORE, "name_named_mail")


def _surname_start(name: str, start: int, honour: str) -> int:
    """Where in a run of Han the name begins: a Japanese honorific follows four characters at most, a Chinese one a
    surname and two more."""
    if honour in ("女士", "小姐", "同志", "老师", "医生", "先生"):
        for at in range(max(0, len(name) - 4), len(name)):
            if name[at] in CHINESE_SURNAMES or name[at : at + 2] in CHINESE_SURNAMES:
                return start + at
        return start + len(name)
    return start if len(name) <= 5 else start + len(name)
