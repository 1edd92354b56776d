"""Postal addresses: streets as ten countries write them, and what follows a street up to its postal code."""

from collections.abc import Iterator

import re2

from redaction.detectors.rules import latin, options
from redaction.findings import Finding
from redaction.search import Patterns
from redaction.wording import NO_NAMES, is_name, words

SCORE = 0.75
_BEFORE = 48
_POSTAL_DIGITS = 5
"""Digits of a house number and a postal code together."""
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
    r"|stigen|torget|gr\xe4nd|veien|gaten|vei|plass|katu|tie|kuja|polku|kaari|raitti|bulevardi|veg|bakken|stien|br\xfccke"
    r"|steig|graben|chaussee|promenade|siedlung|stieg|steenweg|haven|park|vangen|marken|parken|h\xf8jen|toften)"
)
_FRENCH = r"(?i:rue|avenue|av\.|boulevard|bd|place|chemin|all\xe9e|impasse|quai|cours|route|square|passage)"
_OF_FRENCH = r"(?:de la |de l'|du |des |de |d'|la |le |les )?"
_ROMANCE = (
    r"(?:Via|Viale|Piazza|Piazzale|Corso|Strada|Vicolo|Contrada|Stretto|Rotonda|Borgo|Canale|Incrocio|Largo|Calle|C/"
    r"|Avenida|Avda\.?|Plaza|Paseo|Camino|Carrera|Ronda|Cuesta|Glorieta|Pasaje|Callej\xf3n|Rambla|Alameda|Vial|Acceso"
    r"|Urbanizaci\xf3n|Ca\xf1ada|Rua|Travessa|Pra\xe7a|Estrada|Rodovia|Vila|Vale|Feira|Parque|Jardim|Perif\xe9rico|Andador|Privada|Diagonal|Retorno|Peatonal|Viaducto|Prolongaci\xf3n|Circunvalaci\xf3n"
    r"|Cerrada|Corredor|Eje|Calzada|Boulevard|Blvd\.|Continuaci\xf3n|Circuito|Ampliaci\xf3n|Av\.|Avda|Pje\.|Bv\.|Alto|Beco|Rotunda"
    r"|Urbaniza\xe7\xe3o|Bairro|Trav\.|Pra\xe7\. |Largo|"
    r"Viela|Ladeira"
    r"|Quadra|Setor|Loteamento|Residencial|Conjunto|Condom\xednio|Trecho|Recanto|Morro|Lagoa|Lago|P\xe1tio|Fazenda)"
)
_OF_ROMANCE = r"(?:de la |de los |de las |del |de |dei |della |delle |da |do |dos |das )?"
_LETTER = r"(?:[a-z\xdf-\xff?'\-]|[A-Z\xc0-\xde])"
_HOUSE = (
    r"(?:[Nn]r\.?:? ?|[Nn]o\.?:? ?|[Bb]r\. ?|\xe8\.p\. ?|d\. ?|n\. ?)?[0-9]{1,5}(?:[/\-][0-9]{1,4})?"
    r"(?: ?[A-Za-z]\b(?:/[0-9]{1,3})?)?"
)
_FLAT = (
    r"(?:(?:m|lok|ap|apt|app|sc|bl|et|kat|daire|D|d|K|kv|st\xf8|tv|th|lgh|as|bajo|piso|puerta|piano|int|interno|scala"
    r"|appartamento|esc|pta|bte|bo\xeete|bus|top|stiege|t\xfcr|Puerta|Piso|Piano|Int|Interno|Scala|Appartamento|Apt|Bus"
    r"|Bte|Top|Stiege|T\xfcr|Sc|Bl|Ap|Et|Kat|Daire|Interior|Edif|Depto|Dto|Dpto|Local|Torre|Of|Oficina|interior"
    r"|edif|depto|Suite|Unit|Nr)(?:\.?:? {0,2}[0-9][0-9A-Za-z]{0,4}|[.: ]{1,2}[A-Za-z])\b)"
)
"""Which door behind a house number."""
_POSTAL = (
    r"(?:[A-Z]{1,2}-)?(?:[0-9]{2}-[0-9]{3}|[0-9]{3} [0-9]{2}|[0-9]{5}-[0-9]{3}|[0-9]{4}-[0-9]{3}|[0-9]{4} ?[A-Z]{2}"
    r"|[0-9]{8}|[0-9]{4,6})\b"
)
_SLAVIC = (
    r"(?:(?i:ul|al|pl|os|n\xe1m|nam|bul|blvd|t\xf8|tr|u|str|bd|jl|jln|gg|av|pr|per)\.|(?i:ulica|ulice|aleja|aleje|plac"
    r"|osiedle|n\xe1mest\xed|namesti|tr\xedda|trida|trg|cesta|strada|calea|aleea|bulevardul|bulevar|intrarea|drumul|splaiul|fundatura|pia\x3fa"
    r"|piata|soseaua|jalan|gang|utca|bulvar|prospekt|ulitsa))"
)
"""What stands before the name of a street in Slavic languages, Romanian and Indonesian, without their marks."""
_BEHIND = (
    r"(?i:utca|\xfat|ut|t\xe9r|k\xf6z|k\xf6r\xfat|ulica|ulice|cesta|trg|pot|naselje|sokak|sokagi|sk\.|sok\.|caddesi|cad\.|cd\."
    r"|bulvari|blv\.|mahallesi|mah\.|meydani|kuja|katu|tie|polku|kaari|raitti|bulevardi|v\xe4yl\xe4|ranta|kaarre|penger"
    r"|n\xe1m\.|bulv\xe1r|allee|steenweg|kaai|lei|g\.|pr\.|gatv\xeb|iela|tn|mnt|pst)"
)
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
        rf"\b{_ROMANCE} {_OF_ROMANCE}(?:(?:{_WORD}|[0-9]{{1,3}}|de|la|del|y|e|da"
        rf"|do) ?){{1,6}}?,? ?(?:[Nn][\xba\xb0]?\.? ?\xba? ?)?[0-9]{{1,5}}\b"
        rf"(?: [0-9]{{1,4}}\b)?(?:[ ,]{{1,3}}{_FLAT}| ?[A-Z]\b){{0,4}}",
        # Strada Toma, Gaesti, 623383 · Intrarea Eftimie, Zarnesti, 722293
        rf"\b(?:{_SLAVIC}|{_ROMANCE}) (?:{_WORD}[ \-]?){{1,4}}, (?:{_CITY}[ \-]?(?:de )?){{1,4}}, {_POSTAL}",
        # 2 Mills Pocket, St. Lisabury, QLD, 2983 · 774 rang Delisle Suite 654, Mont-Thomas, NB R3K 8A6
        rf"(?:^|[^0-9A-Za-z#/.\-])(?P<v>[0-9]{{1,6}} [A-Za-z\xc0-\xff?][A-Za-z\xc0-\xff0-9?.'# \-]{{3,60}},[ \n]"
        rf"{_UP}[A-Za-z\xc0-\xff?.' \-]{{1,40}},? [A-Z]{{2,4}},? "
        r"(?:[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[0-9]{4,5}(?:-[0-9]{4})?))\b",
        # H.No. 12, Sector 5 · Plot No. 7/2
        rf"\b(?:H\. ?No\.?|House No\.?|Plot No\.?|Door No\.?|Flat No\.?) ?{_NUMBER}"
        rf"(?:, ?(?:{_WORD} ?){{1,3}}(?:[0-9]{{1,3}})?)?",
        # ul. Kossaka 914 · aleja Bema 274/3 · nám. Míru 5 · Strada Lungă nr. 12 · Jl. Merdeka No. 4
        rf"\b{_SLAVIC} (?:{_WORD}[ \-]){{0,3}}{_WORD}[ ,]{{1,2}}{_HOUSE}(?:[ ,]{{1,2}}{_FLAT}){{0,4}}",
        # Petőfi utca 12. · Tavčarjeva ulica 5 · Atatürk Caddesi No: 14 · Mannerheimintie 4 B 12
        rf"\b(?:{_WORD}[ \-]){{1,3}}{_BEHIND} {_HOUSE}(?:[ ,]{{1,2}}{_FLAT}){{0,4}}",
        # Klecanská 1, 582 93 Kraslice · K Lučinám 678, 482 78 Stod · Elimäenkuja 1, 44646 Espoo
        rf"\b(?:{_UP}{_LETTER}{{0,24}}\.?[ \-])(?:{_LETTER}{{1,24}}\.?[ \-]){{0,4}}{_HOUSE}(?: {_FLAT}){{0,2}}"
        rf"(?:\.? ?, ?|,?\n"
        rf"| - ){_POSTAL},? {_CITY}"
        rf"(?:[ \-](?:[a-z]{{1,3}} )?{_CITY}){{0,3}}(?: \([A-Z]{{2}}\))?",
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
        r"|[0-9]{4} ?[A-Z]{2}\b|[0-9]{5,6}(?:-[0-9]{3,4})?|[0-9]{4}-[0-9]{3}|[0-9]{4}|[0-9]{3} [0-9]{2})\b"
        rf"(?:,? (?:{_CITY}\b[ \-]?){{1,3}})?)"
        rf"|(?P<city>(?:{_CITY}|{_UP}[a-z]?\.) ?(?:(?:de|la|le|of|am|an der|upon|del|sur|en)? ?{_CITY}){{0,3}})"
        r"(?P<more>,? [A-Z]{2,3}\b)?)"
    ).encode("latin-1"),
    options(),
)
_CUED = re2.compile(
    (
        r"(?i:\b(?:my|his|her|their|our|your|new|home|postal|mailing|shipping|billing"
        r"|delivery) address(?: now)?(?: is|:)|"
        r"\b(?:i|we|he|she|they) (?:now )?live(?:s)? (?:at|in)|\b(?:lives|living|resides|residing|resident"
        r"|residence) (?:at|to)|(?P<verb>\b(?:located|moved) (?:at|to)"
        r"|\b(?:ship|send|deliver|mail|post|forward|delivered|shipped|sent|delivery|bill|invoice|parcel"
        r"|package)(?: (?:it|them|this|everything|the [a-z]{2,20}))? to)"
        r"|\bwohn(?:e|t|haft)(?: jetzt| nun)?(?: in)?"
        r"|\b(?:anschrift|adresse|adres|adresa|adress|osoite|indirizzo|direcci\xf3n|domicilio|endere\xe7o"
        r"|morada|c\xedm|lakc\xedm)(?: ist| est| je| to| \xe4r| er)?:?"
        r"|\bj'habite(?: au| \xe0)?|\bdomicili\xe9e?(?: au)?|\bdemeurant(?: au)?|\babit[oa](?: in)?"
        r"|\bresidente (?:in|a|en)|\bviv[oe] en|\bmoro (?:em|na|no)"
        r"|\bresid[eo] (?:em|en)|\bwoon(?:t|achtig)? (?:op|aan|in|te)|\bmieszkam(?: na| przy| w)?:?"
        r"|\bzamieszka[l?][aey]?:?|\bbor (?:p\xe5|i)|\basun osoitteessa"
        r"|\bbydl[i\xed][mt][a-z ]{0,12}|\bbytem|\badresim|\blocuiesc (?:pe|in)|\bstanujem|\bzivim|\blakom"
        r"|\nLOCATION|\bbosatt (?:i|p\xe5)|\bwonende (?:te|op|aan)|\bprebivalistem|\bstanujoc|\bberalamat di"
        r"|\btinggal di"
        r"|\balamat|\bnaslov|\blakc\xedme|\bdomiciliad[oa] en|\bdomiciliat[a?]? in)"
        rf"[ :]{{1,2}}\"?(?P<v>(?:{_UP}|[0-9])[^\n\r\t;<>\"{{}}|=@]{{8,120}})"
    ).encode("latin-1"),
    options(),
)
"""What is said before an address, in the languages of redaction/tongues.py."""
_TOWN = re2.compile(
    (
        rf"(?:,? {_CITY}){{1,4}}, [0-9]{{4,6}}\b"
        rf"|[ ,]{_POSTAL},? {_CITY}(?:[ \-](?:(?:[a-z]{{1,3}} ){{0,2}}{_CITY}|\([A-Z]{{2}}\)))"
        r"{0,3}(?:,? [A-Z]{2,4}\b)?|, [A-Z]{2,4}[ ,]{1,2}"
        r"(?:[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]|[0-9]{4,5}(?:-[0-9]{4})?)\b"
    ).encode("latin-1"),
    options(),
)
"""With what an address ends: a postal code and its town, or a state and its code."""
_BRITISH = re2.compile(rb"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b", options())
_CUED_END = re2.compile(
    (
        r"[.!?](?: |$)| (?:and|und|et|y|e|en|och|og|ja|oraz|a) [a-z]|,? \(?(?:tel|phone|telefon"
        r"|t[e\xe9]l[e\xe9]fon|puhelin|mobile|mobil|mi tel|mijn n|mit n|mitt n"
        r"|meine n|meu t|my |mi |mein|moj|please|bitte|thanks|merci)[a-z]{0,12}\b| - "
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


_DIGITS_OF_YEAR = 4
_NEVER_COUNTED = words("rue chemin avenue route via place quai impasse allée boulevard ruelle sentier strada viale")
"""Words that make a street of what a number like a year follows."""
_SHORT = words("str. bd. bv. pr. per. tr. u. gg. alto eje")
"""Words for streets that stand for other things in most languages."""
_TOLD_BEFORE = ("adres", "addr", "locui", "domicil", "mieszka", "sediu", "morada", "endere", "direcci", "reside")


_MEASURE = re2.compile(rb" ?(?:[kcm]?m|ha|kg|%|min|Uhr|Stunden|Tage|GB|MB)\b", options())
"""What makes of a number a measure, and of `Weg 12 km` no address."""


class Streets:
    """Addresses. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """Streets, each with its city and postal code where they follow."""
        if not any(char.isdigit() for char in text) or text.isdigit():
            return
        data = latin(text)
        yield from _cued(text, data)
        judged = set[str]()
        for pattern in _STREETS.in_text(data):
            group = 1 if pattern.groups else 0
            for match in pattern.finditer(data):
                start, end = match.span(group)
                if not _NO_STREET.intersection(text[start:end].replace(",", " ").split()) and _is_placed(
                    text[start:end]
                ):
                    stop = _tail(text, data, end)
                    if stop == end and (_is_abbreviation(text, start, end) or _MEASURE.match(data, end)):
                        continue
                    yield Finding(start, stop, "ADDRESS", SCORE, "street")
                    before = text[max(0, start - _BEFORE) : start]
                    if before not in judged:
                        judged.add(before)
                        yield from _addressee(before, start)


def _is_placed(street: str) -> bool:
    """Whether what stands behind its last comma is no common word and no year: `table 4, 2019 Report` is no address,
    nor is `Sprint 14, 2024 Planning`."""
    _, comma, rest = street.rpartition(", ")
    behind = rest.split()
    town = next((word for word in behind if word[0].isalpha()), "")
    if not comma or not behind[0].isdigit():
        return True
    is_year = len(behind[0]) == _DIGITS_OF_YEAR and behind[0][:2] in ("19", "20") and bool(town)
    return town.lower() not in NO_NAMES and (not is_year or street.split()[0].lower() in _NEVER_COUNTED)


def _is_abbreviation(text: str, start: int, end: int) -> bool:
    """Whether it is a short word and a number that mean anything where no town follows: `Str. Length 12`."""
    street, before = text[start:end], text[max(0, start - _BEFORE) : start].lower()
    is_short = street.split()[0].lower() in _SHORT and street.isascii()
    return is_short and not any(word in before for word in _TOLD_BEFORE)


def _cued(text: str, data: bytes) -> Iterator[Finding]:
    """What is told to be an address, has a house number and a postal code, or a number and a comma."""
    for match in _CUED.finditer(data):
        start, end = match.span(2)
        stop = end
        for cut in _CUED_END.finditer(data, start, end):
            before = text[start : cut.start()].rsplit(" ", 1)[-1]
            is_short = text[cut.start()] == "." and len(before) < 4 and before[:1].isalpha()
            if not is_short:  # `12 Main St. Springfield`
                stop = cut.start()
                break
        town = _TOWN.search(data, start, stop)
        value = text[start : town.end() if town is not None else stop].rstrip(" ,.-")
        if match.start(1) >= 0 and town is None and not _BRITISH.search(data, start, stop):
            continue  # `moved to Kubernetes 1.29, 12 nodes`
        has_number = any(map(str.isdigit, value)) and any(map(str.isupper, value))
        is_long = "," in value or sum(map(str.isdigit, value)) >= _POSTAL_DIGITS
        if has_number and is_long and not _NO_STREET.intersection(value.replace(",", " ").split()):
            yield Finding(start, start + len(value), "ADDRESS", SCORE, "told_address")


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
