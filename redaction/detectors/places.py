"""Postal addresses of Japan, China, Korea, the Arab countries, Iran, India and Israel, in their own scripts. Pure.

Sources: Japan Post's and China Post's guides to addressing, 도로명주소법 (Road Name Address Act), UPU's S42 templates.
"""

from collections.abc import Iterator

import re2

from redaction.findings import Finding

SCORE = 0.8
_HAN = r"\x{3400}-\x{9fff}"
_KANA = r"\x{3005}\x{3041}-\x{30ff}"
_JAPAN = (
    r"(?:〒 ?\d{3}-\d{4}[ \x{3000}\n]{0,2})?"
    rf"(?:(?:東京都|北海道|大阪府|京都府|[{_HAN}]{{2,3}}県)[{_HAN}{_KANA}]{{1,16}}"
    rf"|[{_HAN}]{{1,5}}市[{_HAN}]{{1,5}}区[{_HAN}{_KANA}]{{1,12}})"
    rf"\d[\d\-丁目番地号条東西南北の]{{0,20}}(?:[ \x{3000}]?[{_HAN}{_KANA}A-Za-z]{{0,20}}?\d{{1,4}}(?:号室|号"
    rf"|室|階|F))?"
)
_JAPAN_CODE = r"〒 ?\d{3}-\d{4}"
_CHINA = (
    rf"(?:[{_HAN}]{{2,6}}(?:省|自治区))?(?:[{_HAN}]{{2,5}}市)?(?:[{_HAN}]{{1,6}}[区區县縣镇鎮乡鄉])?[{_HAN}]{{1,12}}"
    rf"(?:路|街|道|巷|弄|胡同|段)[东西南北中]?\d{{1,5}}(?:号|號|弄|栋|幢|巷|之\d)"
    rf"(?:[{_HAN}A-Za-z]{{0,14}}\d{{0,4}}[A-Za-z]?(?:栋|幢|座|楼|樓|单元|室|层|号|號)){{0,5}}\d{{0,4}}"
)
_KOREA = (
    r"(?:[가-힣]{1,8}(?:특별시|광역시|특별자치시|특별자치도|도|시) )?(?:[가-힣]{1,6}[시군구] ){1,2}"
    r"(?:[가-힣]{1,6}[읍면] )?"
    r"[가-힣0-9]{1,12}(?:로|길|동|리|가) ?\d{1,4}(?:-\d{1,4})?(?:번지|번길 ?\d{1,4})?"
    r"(?:,? ?(?:[가-힣A-Za-z0-9]{1,14} )?\d{1,4}(?:동|호|층)| ?\([가-힣0-9, ]{1,24}\)){0,4}"
)
_ARABIC_WORD = r"[\x{620}-\x{65f}\x{670}-\x{6d3}]{1,14}"
_ARABIA = (
    rf"(?:شارع|طريق|جادة|خیابان|کوچه) (?:{_ARABIC_WORD} ?){{1,4}}(?:رقم )?\d{{0,5}}"
    rf"(?:[،,] ?(?:{_ARABIC_WORD} ?){{1,3}}\d{{0,6}}|[،,] ?\d{{1,6}}){{0,4}}"
)
_INDIAN = r"[\x{900}-\x{963}\x{970}-\x{97f}A-Za-z]"
_INDIA = (
    rf"(?:(?:मकान|फ्लैट|प्लॉट|दुकान|भवन|घर|मकन|फलट|पलट)[^\n।;:]{{2,90}}?"
    rf"|\b\d{{1,4}}[A-Z]?, ?{_INDIAN}[^\n।;:]{{3,80}}?)"
    r"[ \-][1-8]\d{5}\b"
)
_SLAVIC = (
    r"(?:ул|вул|пр-т|пр|просп|бул|бульв|пер|пров|пл|наб|ш|улица|вулиця|проспект|бульвар|площадь|переулок|шоссе"
    r"|набережная)\.? "
    r"[А-ЯЁІЇЄҐ][А-Яа-яЁёІіЇїЄєҐґ\-]{2,24}(?: [А-Яа-яЁёІіЇїЄєҐґ\-]{1,24}){0,3},? ?(?:д\.|дом|буд\."
    r"|№)? ?\d{1,4}[А-Яа-я]?(?:/\d{1,4})?"
    r"(?:, ?(?:кв|оф|корп|стр|эт|ет|ап|вх|под|бл)\.? ?\d{1,4}|, ?\d{4,6}"
    r"(?: [А-ЯЁІЇЄҐ][А-Яа-яЁёІіЇїЄєҐґ\-]{2,24})?|, ?(?:г\."
    r"|м\.|гр\.)? ?[А-ЯЁІЇЄҐ][А-Яа-яЁёІіЇїЄєҐґ\-]{2,24}){0,5}"
)
_ISRAEL = (
    r"(?:רחוב|רח'|שדרות|שד'|דרך) (?:[\x{5d0}-\x{5ea}'\"]{1,14} ){1,4}\d{1,4}"
    r"(?:, ?[\x{5d0}-\x{5ea}\- ]{2,24}(?: \d{5,7})?)?"
)
_ALL = tuple(
    (mark, re2.compile(pattern))
    for mark, pattern in (
        ("〒都県府道市", _JAPAN),
        ("〒", _JAPAN_CODE),
        ("号號弄栋幢", _CHINA),
        ("로길동리가", _KOREA),
        ("شطجخک", _ARABIA),
        ("मफपदभघक", _INDIA),
        ("רשד", _ISRAEL),
        ("увпбншУВПБНШ", _SLAVIC),
    )
)
"""A pattern, and characters of which one stands in whatever it finds."""
_LEAST_ARABIC = 2


def places(text: str) -> Iterator[Finding]:
    """The addresses; they may overlap."""
    if not any(map(str.isdigit, text)) and "،" not in text:
        return
    for marks, pattern in _ALL:
        if any(mark in text for mark in marks):
            for match in pattern.finditer(text):
                value = _ended(match.group())
                if any(map(str.isdigit, value)) or value.count("،") + value.count(",") >= _LEAST_ARABIC:
                    yield Finding(match.start(), match.start() + len(value), "ADDRESS", SCORE, "foreign_address")


def _ended(value: str) -> str:
    """The address without a part behind a comma that goes on with the sentence: `، وأفاد`, and he said."""
    head, *parts = value.split("،")
    kept = [head]
    for part in parts:
        if part.strip().startswith("و") and " " in part.strip():
            break
        kept.append(part)
    return "،".join(kept).rstrip(" ،,")
