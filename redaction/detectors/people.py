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
_GREETED = (
    r"\b(?i:dear|hi|hello|hey|hallo|bonjour|hola|good (?:morning|afternoon|evening)|regards|sincerely|cheers"
    r"|best wishes|thanks|thank you|yours|love|gr\xfc\xdfe),?[ \n\r]{1,4}"
    r"|\b(?i:ciao|salut|coucou|hoi|hej|hejsan|moi|terve|selam|merhaba|ol\xe1|oi|oye|ahoj|czesc|servus|moin|szia"
    r"|bun\xe3|buna"
    r"|zdravo|bok|hai|halo|tere|labas|sveiki|buongiorno|buonasera|bom dia|boa tarde|buenos d\xedas"
    r"|buenas tardes|guten (?:morgen|tag|abend)"
    r"|goedemorgen|goedemiddag|god morgon|dzie\xf1 dobry|dzien dobry|dobr\xfd den|dobry den"
    r"|hyv\xe4\xe4 p\xe4iv\xe4\xe4|iyi g\xfcnler),? {1,2}"
)
_CLOSING = (
    r"\b(?i:(?:mit )?(?:freundlichen?|vielen?|besten?|herzlichen?|liebe|sch\xf6ne) gr\xfc(?:\xdf|ss)(?:en?)?"
    r"|hochachtungsvoll|mfg|(?:bien )?cordialement"
    r"|sinc\xe8res salutations|salutations distingu\xe9es|bien \xe0 vous|amicalement|(?:un )?"
    r"(?:cordial )?saludos?(?: cordial(?:es)?)?|atentamente|un abrazo"
    r"|(?:cordiali|distinti) saluti|cordialmente|un saluto|atenciosamente|(?:com os )?melhores cumprimentos"
    r"|cumprimentos|abra\xe7os?|att"
    r"|(?:met )?(?:vriendelijke|hartelijke) groet(?:en)?|hoogachtend|z (?:powazaniem|wyrazami szacunku)"
    r"|pozdrawiam|(?:s )?pozdravem"
    r"|s pozdravom|s \xfactou|(?:med )?(?:v\xe4nliga?|b\xe4sta) h\xe4lsning(?:ar)?|mvh|(?:med )?venlig"
    r"(?:e)? hilsen(?:er)?|(?:med )?vennlig(?:e)? hilsen(?:er)?"
    r"|hilsen|yst\xe4v\xe4llisin terveisin|terveisin|parhain terveisin|sayg\xfdlar\xfdmla|sayg(?:i|y)lar(?:i"
    r"|y)mla|sevgiler|\xfcdv\xf6zlettel|tisztelettel"
    r"|cu (?:stim[a\xe3]|respect)|lijep pozdrav|s po[s\xb9]tovanjem|lep pozdrav|lugupidamisega|pagarbiai"
    r"|ar ciec?nu|hormat saya|salam|tr\xe2n trong"
    r"|yours (?:sincerely|faithfully|truly)|(?:kind|best|warm) regards)[,:]?[ \t]{0,3}(?:\r?\n[ \t]{0,4}){1,3}"
)
_TITLED = (
    r"\b(?i:hr|hra|fru|fr\xf6ken|fr\xf8ken|rouva|pan[i\xed]|pan|pa\xf1stwo|mudr|judr|phdr|mgr|ing|dipl\.-ing"
    r"|rndr|bc|mevrouw|mevr|mw|meneer|dhr|de heer"
    r"|sig|sig\.ra|sig\.na|signora?|dott|dott\.ssa|avv|do\xf1a|srta|lic|licda|dra|prof\.ssa|senhora?|exm[oa]"
    r"|eng|bayan?|say\xfdn|sn|mlle|mademoiselle|ma\xeetre"
    r"|doamna|domnul|dna|dl|gospo[dg][a-z]?|gospa|gda|shri|smt|sri|kum|adv|encik|puan|bapak|ibu|h\xe4rra|proua"
    r"|ponia|ponas|kundze|kungs|kyria|kyrios)\b\.?[ \xa0]"
)
_TOLD = (
    r"\b(?i:my name is|name's|this is|i am|i'm|it's|soy|sou o|sou a|sono|jestem|ich bin|je suis|ik ben"
    r"|jag \xe4r|jeg er|olen|jsem|calls? me|called me|speaking with|spoke (?:with|to)|on behalf of"
    r"|signed by|written by|mein name ist|je m'appelle|me llamo|mi chiamo|nazywam si[e\xea]|jag heter"
    r"|jeg hedder|jeg heter|mijn naam is|meu nome \xe9|nimeni on|adim|jmenuji se|pani?"
    r"|zov[e\xe8]m se|ime mi je|numele meu este|nama saya|named|name of|patient|pt|client|customer"
    r"|employee|nurse|doctor|colleague|attending|attn|assigned to|reported by|approved by|requested by|created by"
    r"|escalate to|beneficiary|tenant|cardholder|account holder|insured|spouse|wife|husband|son|daughter|mother"
    r"|father|brother|sister|manager|supervisor|user|member|passenger|guest|recipient|sender|claimant"
    r"|policyholder|kunde|kundin|kunden|klient|klientin|patientin"
    r"|patienten|versicherte[rn]?|cliente|paciente|paziente|asegurad[oa]|segurad[oa]|assicurat[oa]|assur\xe9e?|klant"
    r"|verzekerde|kund|pasient|pacjent|pacjentka|asiakas|potilas|pacient|z\xe1kazn\xedk|poistenec|osiguranik"
    r"|zavarovanec"
    r"|asiguratul|pacientul|biztos\xedtott|m\xfcsteri|hasta|pasien|nasabah|contact"
    r"|zeug(?:e|in|en)|gesch\xe4digte[rn]?|beschuldigte[rn]?|auftraggeber(?:in)?|empf\xe4nger(?:in)?"
    r"|kontoinhaber(?:in)?|beg\xfcnstigte[rn]?|mieter(?:in)?"
    r"|aangever|aangeefster|pati\xebnt(?:e)?|verdachte|getuige|asianomistaja|ep\xe4ilty|m\xe5ls\xe4gande"
    r"|misst\xe4nkt|vittnet|forn\xe6rmede|vidne|vitne"
    r"|pokrzywdzon[ya]|[sw]wiadek|podejrzan[ya]|zleceniodawca|odbiorca|svedek|po[s\xb9]kozen[y\xfd\xe1]"
    r"|obvin\xecn[y\xfd]|[c\xe8]lovek|comparece[u]?|compareceu"
    r"|denunciante|testigo|imputad[oa]|perjudicad[oa]|n\xf3mina de|ordenante|testemunha|ofendid[oa]|querelante"
    r"|parte lesa|imputat[oa]|testimone|beneficiario"
    r"|intestatario|ordinante|donneur d'ordre|b\xe9n\xe9ficiaire|titulaire|plaignante?|victime|t\xe9moin"
    r"|pr\xe9venue?|magd\xfbr|s\xfcpheli|tanik"
    r"|complainant|accused|deceased|petitioner|respondent|patientin|klijent|stranka|o\xb9te\xe6en[ai]"
    r"|p\xe1ciens|beteg|tan[u\xfa]|pacientas|pacients|s/o|d/o|w/o|affidavit of|the undersigned|ondergetekende"
    r"|subsemnat(?:a|ul)|sottoscritt[oa]|soussign\xe9e?|abajo firmante"
    r"|abaixo assinad[oa]|ni\xbfej podpisan[ay]|nizej podpisan[ay]|alul\xedrott|undertegnede|undertecknad"
    r"|allekirjoittanut|podepsan[y\xfd\xe1]"
    r"|podp\xedsan[y\xfd\xe1]|potpisan[ia]|unterzeichne(?:te|nde|r|te[rn])|t\xf4i l\xe0|bewerbung von),?[ ][\"']?"
)
_CUES = re2.compile(
    (
        r"(?:\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Monsieur|Madame|Se\xf1ora?|Sra?)\b\.?[ \xa0]"
        rf"|{_GREETED}|{_TOLD}|{_TITLED}|{_CLOSING}"
        r"|\b(?:Author|Committer|Signed-off-by|Reviewed-by|Co-authored-by|From|To|Cc|Reply-To|Attendees|Present"
        r"|An|Aan|Von|Van|De|\xc0|Da|A|Para|Fra|Fr\xe5n|Til|Till|Od|Do|Kimden|Kime"
        r"|L\xe4hett\xe4j\xe4|Vastaanottaja): ?\"?)"
        rf"(?P<v>{_CAPITAL}|(?:van|von|de|der|den|di|da|la|le) )"
    ).encode("latin-1"),
    options(),
)
_LETTERS = r"[A-Za-z'\-\xc0-\xff?]"
_NAMED = rf"{_CAPITAL}{_LETTERS}{{1,24}}(?: (?:[a-z]{{2,3}} ){{0,2}}{_CAPITAL}(?:{_LETTERS}|\.){{0,24}}){{1,3}}"
_AFTER = re2.compile(
    (
        rf"(?P<v>{_NAMED})(?:'s (?:wife|husband|son|daughter|mother|father|boss|doctor|partner|claim|account|card|file"
        r"|record|manager|assistant|brother|sister|parents|address|birthday|insurance|chart)\b"
        r"|,? \(?(?:born|aged?|dob|DOB|n\xe9e?|geb\.|geboren|wohnhaft|demeurant|domicili\xe9e?|nat[oa] (?:il|a)"
        r"|residente"
        r"|nacid[oa]|con (?:DNI|NIE)|DNI|domiciliad[oa]|nascid[oa]|CPF|BSN|wonende|PESEL|zam(?:ieszka[a-z]{1,4}"
        r"|\.)|ur\.|nar\.|bytem|CNP"
        r"|n[a\xe3]scut[a\xe3]?|domiciliat[a\xe3]?|f\xf6dd|bosatt|f\xf8dt|cpr|personnummer|hetu|synt\.|C\. ?F\."
        r"|codice fiscale|SSN|NI\b|OIB|TAJ"
        r"|do\xf0umlu|T\.C\.|NIK|CCCD|r\. ?\xe8\.|rodn\xe9)(?:[^A-Za-z\xc0-\xff]|$)"
        r"| (?:lives|resides|lived|was admitted|was discharged|has signed|was born|is married)\b)"
    ).encode("latin-1"),
    options(),
)
"""A name by what only people have or do."""
_TURNED = re2.compile(
    (
        rf"\b(?:from|for|by|to|of|with|[Cc]ontact|[Pp]atient|[Cc]lient|[Cc]ustomer):? "
        rf"(?P<v>{_CAPITAL}[A-Za-z'\-\xc0-\xff?]{{1,24}}, {_CAPITAL}[a-z\xdf-\xff?]{{1,20}}(?: [A-Z]\.?)?)"
        r"(?: ?[(<\n;:]|$| (?:has|is|was|called|said|asked))"
    ).encode("latin-1"),
    options(),
)
_HOME = re2.compile(
    (
        r"\b(?:[Ll]iv(?:e|es|ed|ing) in|[Bb]orn in|[Gg]rew up in|[Rr]esid(?:e|es|ed|ing) in|[Oo]riginally from"
        rf"|[Rr]esidents? of|[Nn]ative of|[Cc]ity of|[Tt]own of) (?P<v>{_CAPITAL}{_LETTERS}{{2,24}}"
        rf"(?: {_CAPITAL}[a-z\-\xdf-\xff?]{{2,24}})?)"
    ).encode("latin-1"),
    options(),
)
_LOWERED = re2.compile(
    (
        r"\b(?i:my name is|name's|i am called|mein name ist|ich hei\xdfe|je m'appelle|me llamo|mi chiamo|mijn naam is"
        r"|jag heter|jeg hedder|jeg heter|meu nome \xe9|nazywam si[e\xea]|jmenuji se|nimeni on) "
        r"(?P<v>[a-z\xdf-\xff'\-]{2,20} [a-z\xdf-\xff'\-]{2,20})(?:[.,;!?\n]|$| (?:and|und|et|y|e|en|och|og|i|a|ja) )"
    ).encode("latin-1"),
    options(),
)
"""A name in lower case, where it is told."""
_BEFORE_MAIL = re2.compile(
    (
        r"(?P<v>" + _CAPITAL + r"[A-Za-z'\-\xc0-\xff?]{1,24}(?:,? (?:[a-z]{2,3} ){0,2}" + _CAPITAL
        + r"[A-Za-z'\-.\xc0-\xff?]{0,24}){1,3})\"?,? ?\]?[<(\[:|]{1,2} ?(?:mailto:)?[A-Za-z0-9._%+'\-]{1,64}@"
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
    chiamo fru rouva pani paní pan mudr judr mgr ing mevrouw mevr mw meneer dhr heer sig sig.ra signora signor dott
    dott.ssa avv
    doña don dra srta senhora senhor sayın sn mlle mademoiselle maître doamna domnul dna dl gospod gospa shri smt
    adv bapak ibu
    puan encik härra proua ponia ponas gospođa gospodin gospođo
    """
)
"""Words behind which one word alone is a name; behind others it takes two."""


class People:
    """Names behind cues. A Detector."""

    def __call__(self, text: str, around: str = "") -> Iterator[Finding]:
        """The names; they may overlap."""
        data = latin(text)
        yield from _cued(text, data)
        yield from _shaped(text, data)
        yield from _recorded(text, data)
        for start, end in _spans(_HOME, data):
            if not _has_other_words(text[start:end]):
                yield Finding(start, end, "LOCATION", 0.7, "home")


def _cued(text: str, data: bytes) -> Iterator[Finding]:
    """Names behind a title, a greeting, a part that people play."""
    at = 0
    while (match := _CUES.search(data, at)) is not None:
        start = match.start(1)
        at = max(start, match.start() + 1)
        cue = text[match.start() : start].strip(' ,.:\n\r"').lower().rpartition(" ")[2]
        end = name_end(text, start)
        name = text[start:end].split()
        is_one = len(name) == 1 and cue in _SINGLE_OK and len(name[0]) >= 3 and not name[0].isupper()
        if (len(name) >= 2 or is_one) and text[end : end + 1] not in ("_", "(", "/") and not _is_joined(text, end):
            yield Finding(start, end, "PERSON", SCORE, "cue", cue)


def _shaped(text: str, data: bytes) -> Iterator[Finding]:
    """Names by what stands behind them, and family names before given ones."""
    for start, end in _spans(_LOWERED, data):
        if not _has_other_words(text[start:end]):
            yield Finding(start, end, "PERSON", SCORE, "told_name")
    for pattern in (_AFTER, _TURNED, *((_BEFORE_MAIL,) if "@" in text else ())):
        for start, end in _spans(pattern, data):
            if is_name(text[start:end]):
                yield Finding(start, end, "PERSON", SCORE, "name_by_context")
    for start, end in _spans(_LISTED, data):
        is_amount = text[max(0, start - 2) : start].strip()[-1:].isdigit()  # `1.250,00 EUR, Zweck`
        is_code = (
            is_amount or text[end : end + 1] in (",", "(", "[", ".") or "import" in text[max(0, start - 64) : start]
        )
        if not is_code and not _has_other_words(text[start:end]):
            yield Finding(start, end, "PERSON", SCORE, "listed_name")


def _recorded(text: str, data: bytes) -> Iterator[Finding]:
    """Names as airlines, address books and directories write them."""
    for match in _BOOKED.finditer(data) if "/" in text else ():
        if match.start(2) >= 0 or match.start() < match.start(1):
            yield Finding(match.start(1), match.end(1), "PERSON", SCORE, "booked_name")
    for match in _CARD.finditer(data) if ":" in text or "=" in text else ():
        start, end = match.span(1 if match.start(1) >= 0 else 2)
        if is_name(text[start:end].replace(";", " ")):
            yield Finding(start, end, "PERSON", SCORE, "card_name")


def _spans(pattern: "re2._Regexp[bytes]", data: bytes) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in pattern.finditer(data))


def _has_other_words(text: str) -> bool:
    return any(word.lower() in NO_NAMES for word in text.replace(",", " ").split())


def _is_joined(text: str, end: int) -> bool:
    """Whether a word goes on with code: `From Users.Orders`."""
    return text[end : end + 1] in (".", "=", ":") and text[end + 1 : end + 2].isalnum()
