"""Postal addresses: streets as ten countries write them, and what follows a street up to its postal code."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.wording import words

SCORE = 0.75
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
    walks wall ways well wells cruiseway villages tollway marg nagar chowk ganj colony concourse circuit
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


_STREETS = tuple(
    re2.compile(pattern.encode("latin-1"), options())
    for pattern in (
        # 221B Baker Street · 12 N. Main St Apt 4
        rf"\b{_NUMBER},? (?:[NSEW]{{1,2}}\.? )?(?:(?:{_WORD}|[0-9]{{1,3}}(?:st|nd|rd|th)|of|the"
        rf"|de) ){{1,4}}{_any(_CLEAR)}\b\.?"
        rf"(?: [NSEW]{{1,2}}\b)?{_UNIT}?",
        # 463 Kevin Falls Apt. 531 · Flat 72, Hughes cliff
        rf"\b(?:[0-9]{{2,6}} |(?:Flat|Studio|Apartment|Unit|Suite) [0-9]{{1,4}}[A-Za-z]?[,\n] ?(?:{_NUMBER} )?)"
        rf"(?:{_WORD} ){{1,3}}{_any(_SUFFIXES + _CLEAR)}\b{_UNIT}?",
        rf"\b[0-9]{{1,6}} (?:{_WORD} ){{1,3}}?{_WORD}{_UNIT}",
        # Ansgar-Mude-Straße 5 · Hauptstr. 12a · Keizersgracht 12
        rf"\b(?:{_WORD}[ \-]){{0,3}}(?:{_WORD}|{_UP}{_LOW}{{0,24}})?(?i:stra(?:\xdf|ss)e|str\.|weg|platz"
        rf"|allee|gasse|-?ring|damm|ufer|straat"
        rf"|laan|baan|hof|pad|markt|wal|plein|gracht|kade|dijk|singel|dreef|steeg|boulevard) "
        rf"[0-9]{{1,4}}(?:[/\-][0-9]{{1,3}})?[a-z]?\b",
        # 12 bis, rue de la Paix · avenue Victor Royer, 14891 Langlois
        rf"\b{_NUMBER}(?: bis| ter)?,? (?i:rue|avenue|av\.|boulevard|bd|place|chemin|all\xe9e|impasse"
        rf"|quai|cours|route|square|passage)"
        rf" (?:de la |de l'|du |des |de |d'|la |le |les )?(?:{_WORD}[ \-]?){{1,4}}",
        rf"\b(?i:rue|avenue|boulevard|place|chemin|impasse|quai) (?:de la |de l'|du |des |de |d'|la |le "
        rf"|les )?(?:{_WORD}[ \-]?){{1,4}},? ?"
        rf"[0-9]{{5}} {_WORD}",
        # Via Garibaldi 12 · Calle de Alcalá, 5 · Rua Augusta 100
        rf"\b(?:Via|Viale|Piazza|Piazzale|Corso|Strada|Vicolo|Contrada|Stretto|Rotonda|Borgo|Canale"
        rf"|Incrocio|Largo|Calle|C/|Avenida|Avda\.?"
        rf"|Plaza|Paseo|Camino|Carrera|Ronda|Cuesta|Glorieta|Pasaje|Callej\xf3n|Rambla|Alameda|Vial|Acceso|Rua"
        rf"|Travessa|Pra\xe7a|Alameda|Urbanizaci\xf3n"
        rf"|Ca\xf1ada) (?:de la |de los |de las |del |de |dei |della |delle |da |do |dos )?(?:{_WORD} "
        rf"?){{1,4}},? ?(?:n\.? ?\xba? ?)?[0-9]{{1,4}}"
        rf"(?: (?:Puerta|Piso|Apt\.?|Appartamento|Esc\.?) [0-9]{{1,3}}| ?[A-Z]\b)?",
        # H.No. 12, Sector 5 · Plot No. 7/2
        rf"\b(?:H\. ?No\.?|House No\.?|Plot No\.?|Door No\.?|Flat No\.?) ?{_NUMBER}(?:, "
        rf"?(?:{_WORD} ?){{1,3}}(?:[0-9]{{1,3}})?)?",
        r"\b[Pp]\.? ?[Oo]\.? ?[Bb][Oo][Xx] #?[0-9]{1,6}\b",
    )
)
_PART = re2.compile(
    (
        rf"(?:,|\r?\n|\\n| -|,\r?\n)? ?(?:(?P<code>(?:[A-Z]{{2,3}}[ ,]{{1,2}})?(?:[A-Z]{{1,2}}[0-9][A-Z0-9]? "
        rf"?[0-9][A-Z]{{2}}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"
        rf"|[0-9]{{4}} ?[A-Z]{{2}}\b|[0-9]{{5,6}}(?:-[0-9]{{3,4}})?|[0-9]{{4}}|[0-9]{{3}} "
        rf"[0-9]{{2}})\b(?:,? (?:{_WORD}\b ?){{1,3}})?)"
        rf"|(?P<city>(?:{_CITY}|{_UP}[a-z]?\.) ?(?:(?:de|la|le|of|am|an der|upon|del|sur|en)? "
        rf"?{_CITY}){{0,3}})(?P<more>,? [A-Z]{{2,3}}\b)?)"
    ).encode("latin-1"),
    options(),
)
_NO_STREET = words(
    """
    Internal Server Error Errors Key Points Point Data Total Unit Units Version Build Test Tests Page Pages Item
    Items Day Days Hour Hours Minute Minutes Month Months Year Years January February March April May June July
    August September October November December Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec OK Bad Request Not
    Found Gateway Service Unavailable Windows Microsoft Users Customers Orders MB GB KB HTTP GET POST
    """
)


class Streets:
    """Addresses. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """Streets, each with its city and postal code where they follow."""
        if not any(char.isdigit() for char in text) or text.isdigit():
            return
        data = latin(text)
        for pattern in _STREETS:
            for match in pattern.finditer(data):
                start, end = match.span()
                if not _NO_STREET.intersection(text[start:end].replace(",", " ").split()):
                    stop = _tail(text, data, end)
                    yield Finding(start, stop, "ADDRESS", SCORE, "street")


def _tail(text: str, data: bytes, end: int) -> int:
    """Where an address ends: behind its postal code, where one follows within four parts; else behind the street."""
    at, best = end, end
    for _ in range(4):
        match = _PART.match(data, at)
        if match is None or match.end() == at:
            break
        is_apart = text[at : at + 1] in (",", "\n", "\r", "\\") or match.start(1) >= 0 or at == end
        if not is_apart:
            break
        at = match.end()
        if match.start(1) >= 0:
            best = at
    return best
