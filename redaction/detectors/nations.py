"""National identifiers of thirty more countries: by their form where that tells, else by their name nearby."""

from collections.abc import Callable, Sequence

from redaction.detectors import checks
from redaction.detectors.rules import Rule

_SEX_AND_CENTURY = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_TABLE_OF_RESIDENTS = "10X98765432"


def _day(day: int, month: int) -> bool:
    return 1 <= day <= 31 and 1 <= month <= 12


def sweden(text: str) -> bool:
    """Personnummer: Luhn over the last ten digits (Skatteverket, SKV 704); coordination numbers add 60 to the day."""
    number = checks.digits(text)[-10:]
    return _day(int(number[4:6]) % 60, int(number[2:4])) and checks.luhn(number)


def finland(text: str) -> bool:
    """Henkilötunnus: nine digits modulo 31 give the last letter (DVV)."""
    value = checks.alphanumerics(text)
    number = checks.digits(text[:6]) + text[7:10]
    is_day = number.isdigit() and len(number) == 9 and _day(int(number[:2]), int(number[2:4]))
    return is_day and _SEX_AND_CENTURY[int(number) % 31] == value[-1]


def denmark(text: str) -> bool:
    """CPR: a day, and four digits; numbers since 2007 have no check digit (CPR-kontoret)."""
    number = checks.digits(text)
    return _day(int(number[:2]) % 60, int(number[2:4]))


def norway(text: str) -> bool:
    """Fødselsnummer: two check digits modulo 11 (Skatteetaten)."""
    number = checks.digits(text)
    first = checks.weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    return first == 0 and checks.weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def czechia(text: str) -> bool:
    """Rodné číslo, also Slovak: ten digits modulo 11 (zákon 133/2000); nine before 1954. Women's months add 50."""
    number = checks.digits(text)
    month = int(number[2:4]) % 50
    is_day = _day(int(number[4:6]), month if month <= 12 else month - 20)
    return is_day and (len(number) == 9 or int(number) % 11 == 0 or int(number[:9]) % 11 == 10)


def belgium(text: str) -> bool:
    """Rijksregisternummer: 97 minus nine digits modulo 97, with a 2 before them for those born since 2000."""
    number = checks.digits(text)
    return any(97 - int(century + number[:9]) % 97 == int(number[9:]) for century in ("", "2"))


def switzerland(text: str) -> bool:
    """AHV-Nummer: an EAN-13 that begins with 756 (Zentrale Ausgleichsstelle)."""
    return checks.weighted(checks.digits(text), (1, 3) * 6 + (1,)) % 10 == 0


def austria(text: str) -> bool:
    """Sozialversicherungsnummer: the fourth digit is the rest of the others modulo 11."""
    number = checks.digits(text)
    return checks.weighted(number[:3] + number[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(number[3])


def portugal(text: str) -> bool:
    """NIF: modulo 11 over eight digits."""
    number = checks.digits(text)
    rest = checks.weighted(number[:8], range(9, 1, -1)) % 11
    return int(number[8]) == (0 if rest < 2 else 11 - rest)


def turkey(text: str) -> bool:
    """T.C. kimlik no: the tenth digit from odd and even places, the eleventh from the sum of ten (NVİ)."""
    number = [int(char) for char in checks.digits(text)]
    is_tenth = (7 * sum(number[0:9:2]) - sum(number[1:8:2])) % 10 == number[9]
    return number[0] != 0 and is_tenth and sum(number[:10]) % 10 == number[10]


def romania(text: str) -> bool:
    """CNP: weights 279146358279 modulo 11 (Legea 105/1996)."""
    number = checks.digits(text)
    rest = checks.weighted(number[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return int(number[12]) == (1 if rest == 10 else rest)


def croatia(text: str) -> bool:
    """OIB: ISO 7064 MOD 11,10."""
    product = 10
    for digit in checks.digits(text)[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(text[-1])


def yugoslavia(text: str) -> bool:
    """JMBG and EMŠO: a day, and modulo 11 over twelve digits."""
    number = checks.digits(text)
    rest = 11 - checks.weighted(number[:12], (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return _day(int(number[:2]), int(number[2:4])) and rest % 11 == int(number[12])


def baltic(text: str) -> bool:
    """Isikukood and asmens kodas: modulo 11 with two rows of weights."""
    number = checks.digits(text)
    for weights in ((1, 2, 3, 4, 5, 6, 7, 8, 9, 1), (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)):
        rest = checks.weighted(number[:10], weights) % 11
        if rest < 10:
            return rest == int(number[10])
    return number[10] == "0"


def china(text: str) -> bool:
    """Resident identity number: GB 11643, ISO 7064 MOD 11-2, a day within."""
    number = text.upper()
    total = sum(int(char) * 2 ** (17 - place) for place, char in enumerate(number[:17]))
    return _day(int(number[12:14]), int(number[10:12])) and _TABLE_OF_RESIDENTS[total % 11] == number[17]


def korea(text: str) -> bool:
    """Resident registration number: a day, and the digit of century and sex; since 2020 without a check digit."""
    number = checks.digits(text)
    return _day(int(number[4:6]), int(number[2:4])) and number[6] in "12345678"


def chile(text: str) -> bool:
    """RUT: modulo 11, K for ten."""
    value = checks.alphanumerics(text)
    body = value[:-1][::-1]
    rest = 11 - sum(int(char) * (2 + place % 6) for place, char in enumerate(body)) % 11
    return value[-1] == ("0" if rest == 11 else "K" if rest == 10 else str(rest))


def argentina(text: str) -> bool:
    """CUIL and CUIT: modulo 11 (AFIP)."""
    number = checks.digits(text)
    rest = 11 - checks.weighted(number[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(number[10]) == (0 if rest == 11 else 9 if rest == 10 else rest)


def brazil_company(text: str) -> bool:
    """CNPJ: two check digits modulo 11 (Receita Federal)."""
    number = checks.digits(text)
    for length in (12, 13):
        weights = [2 + place % 8 for place in range(length)][::-1]
        rest = checks.weighted(number[:length], weights) % 11
        if int(number[length]) != (0 if rest < 2 else 11 - rest):
            return False
    return True


def luhn_id(text: str) -> bool:
    """South Africa's and Israel's identity numbers: Luhn."""
    return checks.luhn(checks.digits(text))


def bulgaria(text: str) -> bool:
    """ЕГН: modulo 11."""
    number = checks.digits(text)
    return checks.weighted(number[:9], (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == int(number[9])


def singapore(text: str) -> bool:
    """NRIC and FIN: weights 2 7 6 5 4 3 2 modulo 11, four more for T and G (ICA)."""
    value = text.upper()
    rest = (checks.weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + (4 if value[0] in "TG" else 0)) % 11
    return value[8] == ("JZIHGFEDCBA" if value[0] in "ST" else "XWUTRQPNMLK")[rest]


def ireland(text: str) -> bool:
    """PPS: a letter by modulo 23 (Department of Social Protection); the second letter counts nine times."""
    value = checks.alphanumerics(text)
    second = ord(value[8]) - 64 if len(value) > 8 and value[8] != "W" else 0
    total = checks.weighted(value[:7], range(8, 1, -1)) + 9 * second
    return "WABCDEFGHIJKLMNOPQRSTUV"[total % 23] == value[7]


def _id(
    name: str, pattern: str, check: Callable[[str], bool] | None, context: Sequence[str], *, alone: bool = False
) -> Rule:
    """`alone`: its form and its check digit are enough without a word nearby."""
    is_valid = None if check is None else checks.whole(check)
    return Rule(
        name, "NATIONAL_ID", pattern, 0.6 if alone else 0.8, is_valid, tuple(context), not alone, ignores_case=True
    )


_ELEVEN = r"\b[0-9]{11}\b"
_THIRTEEN = r"\b[0-9]{13}\b"
RULES = (
    _id("sweden_personnummer", r"\b(?:19|20)?[0-9]{6}[-+][0-9]{4}\b", sweden, ("personn", "pnr"), alone=True),
    _id("nordic_any", r"\b(?:19|20)?[0-9]{6}[-+]?[0-9]{4,5}\b", None, ("personnum", "personnr", "fødselsnum",
        "fodselsnum", "cpr-n")),
    _id("sweden_personnummer_plain", r"\b(?:19|20)?[0-9]{10}\b", sweden, ("personnum", "personnr")),
    _id("finland_hetu", r"\b[0-9]{6}[-+a-fu-y][0-9]{3}[0-9a-fhj-npr-y]\b", finland, ("hetu", "henkil"), alone=True),
    _id("denmark_cpr", r"\b[0-9]{6}-?[0-9]{4}\b", denmark, ("cpr", "personnummer")),
    _id("norway_fnr", r"\b[0-9]{6} ?[0-9]{5}\b", norway, ("fødselsn", "fodselsn", "fnr", "personn", "d-nummer")),
    _id("czech_rodne_cislo", r"\b[0-9]{6}/[0-9]{3,4}\b", czechia, ("rodn", "r.č", "rč"), alone=True),
    _id("czech_rodne_cislo_any", r"\b[0-9]{6}/?[0-9]{3,4}\b", None, ("rodné čís", "rodne cis", "rodného", "r.č.")),
    _id("belgium_rrn", r"\b[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}-[0-9]{3}[.\-][0-9]{2}\b", belgium,
        ("rijksreg", "national", "insz", "niss"), alone=True),
    _id("belgium_rrn_plain", _ELEVEN, belgium, ("rijksreg", "numéro national", "registre national", "insz", "niss")),
    _id("switzerland_ahv", r"\b756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}\b", switzerland,
        ("ahv", "avs", "oasi"), alone=True),
    _id("austria_svnr", r"\b[1-9][0-9]{3} ?[0-9]{6}\b", austria,
        ("svnr", "sv-nummer", "sv-nr", "sozialversicherung", "e-card", "versicherungsnummer")),
    _id("germany_rvnr", r"\b[0-9]{2} ?[0-9]{6} ?[a-z] ?[0-9]{3}\b", None,
        ("rentenversicherung", "sozialversicherung", "rvnr", "sv-nummer", "versicherungsnummer")),
    _id("germany_id_card", r"\b[cfghjklmnprtvwxyz0-9]{9}[0-9]?\b", lambda text: any(map(str.isdigit, text)),
        ("personalausweis", "ausweisnummer", "ausweis-nr", "ausweisnr")),
    _id("portugal_nif", r"\b[1-9][0-9]{2} ?[0-9]{3} ?[0-9]{3}\b", portugal, ("nif", "contribuinte", "niss")),
    _id("turkey_kimlik", _ELEVEN, turkey, ("kimlik", "tckn", "t.c.", "tc no")),
    _id("romania_cnp", _THIRTEEN, romania, ("cnp", "cod numeric")),
    _id("croatia_oib", _ELEVEN, croatia, ("oib",)),
    _id("yugoslavia_jmbg", _THIRTEEN, yugoslavia, ("jmbg", "emšo", "emso", "matični", "matičn")),
    _id("hungary_taj", r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}\b", None, ("taj", "társadalombizt")),
    _id("hungary_id", r"\b[0-9]{6}[a-z]{2}\b|\b[1-8][ -]?[0-9]{6}[ -]?[0-9]{4}\b", None,
        ("személyi", "szem.ig", "igazolvány")),
    _id("baltic_code", _ELEVEN, baltic, ("isikukood", "asmens kod", "a.k.")),
    _id("latvia_code", r"\b[0-9]{6}-[0-9]{5}\b", None, ("personas kod", "p.k.")),
    _id("mexico_curp", r"\b[a-z][aeioux][a-z]{2}[0-9]{6}[hmx][a-z]{2}[b-df-hj-np-tv-z]{3}[0-9a-z][0-9]\b", None,
        ("curp",), alone=True),
    _id("mexico_rfc", r"\b[a-z&]{4}[0-9]{6}[0-9a-z]{3}\b", None, ("rfc", "registro federal")),
    _id("argentina_cuil", r"\b(?:20|2[3-7]|3[034])-?[0-9]{8}-?[0-9]\b", argentina, ("cuil", "cuit"), alone=True),
    _id("argentina_dni", r"\b[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}\b", None, ("dni", "documento", "cédula", "cedula",
        "c.c.")),
    _id("chile_rut", r"\b[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-[0-9k]\b", chile, ("rut", "run"), alone=True),
    _id("chile_rut_plain", r"\b[0-9]{7,8}-[0-9k]\b", chile, ("rut", "run")),
    _id("brazil_cnpj", r"\b[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}\b", brazil_company, ("cnpj",), alone=True),
    _id("brazil_rg", r"\b(?:[0-9]{1,2}\.[0-9]{3}\.[0-9]{3}-?[0-9x]|[0-9]{7,8}-[0-9x])\b", None, ("rg", "identidade")),
    _id("brazil_rg_plain", r"\b[0-9]{7,8}[0-9x]\b", None,
        ("rg:", "rg no", "rg n.", "rg n\xba", "rg n\xb0", "meu rg", "identidade", "registro geral")),
    _id("china_resident", r"(?:^|[^0-9a-z])(?P<v>[1-9][0-9]{5}(?:19|20)[0-9]{9}[0-9x])(?:[^0-9a-z]|$)", china,
        ("身份证", "id"), alone=True),
    _id("korea_rrn", r"\b[0-9]{6}-[1-8][0-9]{6}\b", korea, ("주민", "rrn"), alone=True),
    _id("japan_my_number", r"\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b", None, ("マイナンバー", "my number", "個人番号")),
    _id("south_africa_id", _THIRTEEN, luhn_id, ("sa id", "id number", "identity number", "id no", "south african")),
    _id("israel_id", r"\b[0-9]{8,9}\b", luhn_id, ("teudat", "ת.ז", "תעודת", "israeli id")),
    _id("bulgaria_egn", r"\b[0-9]{10}\b", bulgaria, ("егн", "egn", "eгн")),
    _id("russia_passport", r"\b[0-9]{2} ?[0-9]{2} ?(?:no |n ?)?[0-9]{6}\b", None, ("паспорт", "пacпopт")),
    _id("russia_snils", r"\b[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}\b", None, ("снилс", "snils", "cнилc"), alone=True),
    _id("russia_inn", r"\b[0-9]{12}\b|\b[0-9]{10}\b", None, ("инн", "inn:")),
    _id("greece_amka", _ELEVEN, None, ("αμκα", "amka", "aμka")),
    _id("vietnam_cccd", r"\b0[0-9]{11}\b", None, ("cccd", "cmnd", "căn cước", "can cuoc")),
    _id("singapore_nric", r"\b[stfg][0-9]{7}[a-z]\b", singapore, ("nric", "fin ", "ic no", "singapore"), alone=True),
    _id("ireland_pps", r"\b[0-9]{7}[a-w][a-iw]?\b", ireland, ("pps", "ppsn")),
    _id("indonesia_nik", r"\b[0-9]{16}\b", None, ("nik", "ktp", "kependudukan")),
    _id("uk_nino_labelled", r"\b[a-z]{2}(?:[ -]?[0-9]{2}){3}[ -]?[a-z]\b", None,
        ("national insurance", "nino", "ni number", "ni no", "ni:", "n.i.")),
    _id("poland_id_card", r"\b[a-z]{3} ?[0-9]{6}\b", None, ("dowód", "dowod", "dowodu")),
    _id("italy_id_card", r"\b[a-z]{2} ?[0-9]{5} ?[a-z]{2}\b|\b[a-z]{2} ?[0-9]{7}\b", None, ("carta d'id", "identità")),
    _id("france_nir_any", r"\b[12](?: ?[0-9]){12}(?: ?[0-9]{2})?\b", None,
        ("sécurité soc", "securite soc", "nir", "sécu", "insee", "carte vitale")),
    _id("spain_social", r"\b[0-9]{2}[ /-]?[0-9]{8}[ /-]?[0-9]{2}\b", None, ("seguridad social", "nuss", "afiliaci")),
    _id("canada_sin_any", r"\b[0-9]{3}[- ][0-9]{3}[- ][0-9]{3}\b", None, ("social insurance", "assurance sociale",
        "n.a.s", "nas", "sin:", "sin is", "sin no", "sin number", "sin #", "my sin", "his sin", "her sin")),
)  # fmt: skip
