"""Postal addresses: streets as ten countries write them, and what follows a street up to its postal code."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.search import Patterns
from redaction.wording import NO_NAMES, is_name, words

SCORE = 0.75
_BEFORE = 48
"""Characters before a street in which an addressee may stand."""
_UP = r"[A-Z\xc0-\xde?]"
_LOW = r"[a-z\xdf-\xff?]"
_WORD = rf"{_UP}(?:{_LOW}|['\-.]|{_UP}){{1,24}}"
_CITY = rf"{_UP}{_LOW}(?:{_LOW}|['\-]|{_UP}){{0,24}}"
_NUMBER = r"[0-9]{1,5}(?:[/\-][0-9]{1,4})?[A-Za-z]?"
_CLEAR = sorted(
    words(
        """
    street str st avenue ave av road rd lane ln drive dr boulevard blvd terrace ter crescent cres gardens gdns
    grove mews parade parkway pkwy circle cir trail trl highway hwy turnpike tpke esplanade quay close court ct
    place pl square sq way row hill rise walk green
    """
    )
)
_SUFFIXES = sorted(
    words(
        """
    alley annex arcade bayou beach bend bluff bottom branch bridge brook burg bypass camp canyon cape causeway
    center centers cliff cliffs club common corner corners course courts cove coves creek crest crossing
    crossroad curve dale dam divide estate estates expressway extension fall falls ferry field fields flat flats
    ford forest forge fork forks fort freeway garden gateway glen glens greens groves harbor harbors haven
    heights hills hollow inlet island islands isle junction key keys knoll knolls lake lakes land landing light
    lights loaf lock locks lodge loop mall manor meadow meadows mill mills mission motorway mount mountain neck
    orchard oval overpass park parks parkways pass passage path pike pine pines plain plains plaza point points
    port ports prairie radial ramp ranch rapid rapids rest ridge ridges river roads route run shoal shoals shore
    shores skyway spring springs spur spurs squares station stravenue stream streets summit throughway trace
    track trafficway tunnel underpass union unions valley valleys via viaduct view views village ville vista
    walks wall ways well wells cruiseway villages tollway marg nagar chowk ganj colony centre concourse circuit
        boulevarde promenade quadrant gate glade triangle wharf
    """
    )
)
"""USPS Publication 28, appendix C1, and what Australia and India call a street."""
_UNIT = (
    r"(?:,? ?(?:\b(?i:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|bldg|level|lot|puerta|piso)\b\.?|#)"
    r" ?#?[A-Za-z0-9\-]{1,6})"
)


def _any(names: list[str]) -> str:
    """Each word in lower case, with a capital, and in capitals."""
    return "(?:" + "|".join(f"{word}|{word.title()}|{word.upper()}" for word in names) + ")"


_GERMANIC = (
    r"(?i:stra(?:\xdf|ss)e|str\.|weg|platz|allee|gasse|-?ring|damm|ufer|straat|laan|baan|hof|pad|markt|wal|plein|gracht"
    r"|kade|dijk|singel|dreef|steeg|boulevard|vej|gade|str\xe6de|v\xe6nget|all\xe9|plads|torv|gatan|v\xe4gen|gata|v\xe4g"
    r"|stigen|torget|gr\xe4nd|veien|gaten|vei|plass|katu|tie)"
)
_FRENCH = r"(?i:rue|avenue|av\.|boulevard|bd|place|chemin|all\xe9e|impasse|quai|cours|route|square|passage)"
_OF_FRENCH = r"(?:de la |de l'|du |des |de |d'|la |le |les )?"
_ROMANCE = (
    r"(?:Via|Viale|Piazza|Piazzale|Corso|Strada|Vicolo|Contrada|Stretto|Rotonda|Borgo|Canale|Incrocio|Largo|Calle|C/"
    r"|Avenida|Avda\.?|Plaza|Paseo|Camino|Carrera|Ronda|Cuesta|Glorieta|Pasaje|Callej\xf3n|Rambla|Alameda|Vial|Acceso"
    r"|Urbanizaci\xf3n|Ca\xf1ada|Rua|Travessa|Pra\xe7a|Estrada|Rodovia|Vila|Vale|Feira|Parque|Jardim|Viela|Ladeira"
    r"|Quadra|Setor|Loteamento|Residencial|Conjunto|Condom\xednio|Trecho|Recanto|Morro|Lagoa|Lago|P\xe1tio|Fazenda)"
)
_OF_ROMANCE = r"(?:de la |de los |de las |del |de |dei |della |delle |da |do |dos |das )?"
_WEAK = _any(_SUFFIXES + _CLEAR)

_STREETS: Patterns[bytes] = Patterns(
    re2.compile(pattern.encode("latin-1"), options())
    for pattern in (
        # 221B Baker Street · 12 N. Main St Apt 4
        rf"\b{_NUMBER},? (?:[NSEW]{{1,2}}\.? )?(?:(?:{_WORD}|[0-9]{{1,3}}(?:st|nd|rd|th)|of|the|de) ){{1,4}}"
        rf"{_any(_CLEAR)}\b\.?(?: [NSEW]{{1,2}}\b)?{_UNIT}?",
        # 463 Kevin Falls Apt. 531 · Flat 72, Hughes cliff · 8 Barry Path, · 31/05, Radhakrishnan Ganj
        rf"\b(?:[0-9]{{2,6}} |(?:Flat|Studio|Apartment|Unit|Suite|Level) [0-9]{{1,4}}[A-Za-z]?[,\n/ ] ?(?:{_NUMBER} )?)"
        rf"(?:{_WORD} ){{1,3}}{_WEAK}\b{_UNIT}?",
        rf"\b(?P<v>[0-9]{{1,3}}(?:/[0-9]{{1,3}})?,?[ \n](?:{_WORD} ){{1,2}}{_WEAK})(?:[,\n\".]|$)",
        rf"\b[0-9]{{1,6}} (?:{_WORD} ){{1,3}}?{_WORD}{_UNIT}",
        # Ansgar-Mude-Straße 5 · Hauptstr. 12a · Keizersgracht 12 · Ravennavej 5
        rf"\b(?:{_WORD}[ \-]){{0,3}}(?:{_WORD}|{_UP}{_LOW}{{0,24}})?{_GERMANIC} "
        r"[0-9]{1,4}(?:[/\-][0-9]{1,3})?[a-zA-Z]?\b",
        # 12 bis, rue de la Paix · avenue Victor Royer, 14891 Langlois
        rf"\b{_NUMBER}(?: bis| ter)?,? {_FRENCH} {_OF_FRENCH}(?:{_WORD}[ \-]?){{1,4}}",
        rf"\b{_FRENCH} {_OF_FRENCH}(?:{_WORD}[ \-]?){{1,4}},?[ \n]?[0-9]{{5}} {_WORD}",
        # Via Garibaldi 12 · Calle de Alcalá, 5 · Vale de Fogaça, 182
        rf"\b{_ROMANCE} {_OF_ROMANCE}(?:{_WORD} ?){{1,4}},? ?(?:n\.? ?\xba? ?)?[0-9]{{1,4}}"
        rf"(?: (?:Puerta|Piso|Apt\.?|Appartamento|Esc\.?) [0-9]{{1,3}}| ?[A-Z]\b)?",
        # H.No. 12, Sector 5 · Plot No. 7/2
        rf"\b(?:H\. ?No\.?|House No\.?|Plot No\.?|Door No\.?|Flat No\.?) ?{_NUMBER}"
        rf"(?:, ?(?:{_WORD} ?){{1,3}}(?:[0-9]{{1,3}})?)?",
        r"\b[Pp]\.? ?[Oo]\.? ?[Bb][Oo][Xx] #?[0-9]{1,6}\b",
        # PSC 5459, Box 4469 · USNV Hall (military mail)
        r"\b(?:PSC|CMR|Unit) [0-9]{3,5},? ?\n?Box [0-9]{1,5}(?:[,\n]{1,2} ?[AFD]PO A[AEP] [0-9]{5})?",
        r"\b(?:US[A-Z]{1,4} [A-Z][a-z]+[,\n]{1,2} ?)?[AFD]PO,? A[AEP] [0-9]{5}\b",
    )
)
_PART = re2.compile(
    (
        r"(?:,|\r?\n|\\n| -|-|,\r?\n)? ?(?:"
        r"(?P<code>(?:[A-Z]{2,3}[ ,]{1,2})?(?:[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"
        r"|[0-9]{4} ?[A-Z]{2}\b|[0-9]{5,6}(?:-[0-9]{3,4})?|[0-9]{4}|[0-9]{3} [0-9]{2})\b"
        rf"(?:,? (?:{_CITY}\b[ \-]?){{1,3}})?)"
        rf"|(?P<city>(?:{_CITY}|{_UP}[a-z]?\.) ?(?:(?:de|la|le|of|am|an der|upon|del|sur|en)? ?{_CITY}){{0,3}})"
        r"(?P<more>,? [A-Z]{2,3}\b)?)"
    ).encode("latin-1"),
    options(),
)
_NO_STREET = words(
    """
    Internal Server Error Errors Key Points Point Data Total Version Build Test Tests Page Pages Item
    Items Day Days Hour Hours Minute Minutes Month Months Year Years January February March April May June July
    August September October November December Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec OK Bad Request Not
    Found Service Unavailable AS FROM SELECT Windows Microsoft Users Customers Orders MB GB KB HTTP GET POST
    """
)


class Streets:
    """Addresses. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """Streets, each with its city and postal code where they follow."""
        if not any(char.isdigit() for char in text) or text.isdigit():
            return
        data = latin(text)
        judged = set[str]()
        for pattern in _STREETS.in_text(data):
            group = 1 if pattern.groups else 0
            for match in pattern.finditer(data):
                start, end = match.span(group)
                if not _NO_STREET.intersection(text[start:end].replace(",", " ").split()):
                    yield Finding(start, _tail(text, data, end), "ADDRESS", SCORE, "street")
                    before = text[max(0, start - _BEFORE) : start]
                    if before not in judged:
                        judged.add(before)
                        yield from _addressee(before, start)


def _addressee(before: str, start: int) -> Iterator[Finding]:
    """The name on the line before a street that begins at `start`, or before its comma."""
    bare = before.rstrip()
    if not bare.endswith(",") and not before.endswith("\n"):
        return
    line = bare.rstrip(",").rsplit("\n", 1)[-1]
    for count in (3, 2):
        name = " ".join(line.split(" ")[-count:])
        if is_name(name):
            at = start - len(before) + before.rindex(name)
            yield Finding(at, at + len(name), "PERSON", SCORE, "addressee")
            return


def _tail(text: str, data: bytes, end: int) -> int:
    """Where an address ends: behind its postal code, where one follows within four parts, or a city that ends the line;
    else behind the street."""
    at, best = end, end
    for number in range(4):
        match = _PART.match(data, at)
        if match is None or match.end() == at:
            break
        is_apart = text[at : at + 1] in (",", "\n", "\r", "\\", "-") or match.start(1) >= 0 or at == end
        if not is_apart:
            break
        is_city = number == 0 and match.start(2) >= 0 and text[at : at + 1] in (",", "\n")
        at = match.end()
        is_last = is_city and text[at : at + 1] in ("", ".", "\n", ";", '"')
        if match.start(1) >= 0 or (is_last and not _is_word(text[match.start(2) : at])):
            best = at
    return best


def _is_word(text: str) -> bool:
    return any(word.lower() in NO_NAMES for word in text.replace(",", " ").split())
