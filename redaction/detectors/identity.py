"""National identifiers, passports and dates of birth."""

from redaction.detectors import checks
from redaction.detectors.rules import Rule
from redaction.tongues import MONTHS

_SSN = ("ssn", "social security", "social sec", "soc sec", "itin", "taxpayer")
_BIRTH = (
    "dob", "d.o.b", "birth", "born", "bday", "geburt", "geboren", "geb.", "geb ", "naissance", "né", "née", "né(e)",
    "nacimiento", "nacido", "nacida", "nascita", "nato il", "nata il", "nato a", "nata a", "nascimento", "nascido",
    "nascida", "geboorte", "fødsel", "født", "födelse", "född", "syntyn", "syntym", "synt.", "urodz", "ur.", "narozen",
    "nar.",
    "naroden", "doğum", "doğdu", "születés", "született", "szül", "născut", "nașter", "rođen", "rojen", "rojstv",
    "lahir", "sündinud", "gimęs", "gimė", "gim. ", "dzim", "dzimis", "dzimusi",
    "sünd.", "ngày sinh", "sinh ngày", "г.р", "р.н", "г. р",
    "рожд", "родил", "народж", "γέννησ", "生年月日", "出生", "생년월일",
)  # fmt: skip
_MONTH_NAMED = rf"{MONTHS}[a-z\xdf-\xff]{{0,9}}\.?"
DATE = (
    r"(?i:\b(?:[0-9]{1,2}[/.\- ][0-9]{1,2}[/.\- ](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[/.\-][0-9]{1,2}[/.\-][0-9]{1,2}"
    r"|[0-9]{1,2}\. [0-9]{1,2}\. (?:19|20)[0-9]{2}|(?:19|20)[0-9]{2}\. [0-9]{1,2}\. [0-9]{1,2}|(?:19|20)[0-9]{6}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|er|\.|\xba)?(?: of| de| di| the)? {_MONTH_NAMED}(?: de| del)?,? [0-9]{{2,4}}"
    rf"|[0-9]{{1,2}}[\-/.]{_MONTH_NAMED}[\-/.](?:[0-9]{{4}}|[0-9]{{2}})"
    rf"|{_MONTH_NAMED} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{2,4}}"
    r")\b|\bdate\([0-9]{4}, ?[0-9]{1,2}, ?[0-9]{1,2}\)|(?:19|20)[0-9]{2}\?[0-9]{1,2}\?[0-9]{1,2}\?)"
)
"""A day as people write it, in the languages of redaction/tongues.py."""


def _is_date(text: str) -> bool:
    """Whether the numbers may be a day and a month in some order."""
    numbers = "".join(char if char.isdigit() else " " for char in text).split()
    if len(numbers) == 1:
        numbers = [numbers[0][:4], numbers[0][4:6], numbers[0][6:8]]
    small = [int(number) for number in numbers if len(number) <= 2]
    return bool(small) and any(1 <= number <= 31 for number in small)


def _nino(text: str) -> bool:
    """HMRC, NIM39110: prefixes that are never used."""
    prefix = checks.alphanumerics(text)[:2]
    return prefix not in ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


def _id(
    name: str,
    pattern: str,
    score: float,
    check: str,
    context: tuple[str, ...],
    *,
    alone: bool = False,
    unless: tuple[str, ...] = (),
) -> Rule:
    """A national identifier with a check digit; found without context only where it says so."""
    is_valid = checks.whole(getattr(checks, check))
    return Rule(name, "NATIONAL_ID", pattern, score, is_valid, context, not alone, ignores_case=True, unless=unless)


RULES = (
    Rule("us_ssn", "NATIONAL_ID", r"\b[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}\b", 0.7, checks.whole(checks.us_ssn), _SSN),
    Rule("us_ssn_plain", "NATIONAL_ID", r"\b[0-9]{9}\b", 0.8, checks.whole(checks.us_ssn), _SSN, True),
    Rule("us_itin", "NATIONAL_ID", r"\b9[0-9]{2}[- ][5-9][0-9][- ][0-9]{4}\b", 0.6, None, _SSN),
    Rule("us_ein", "TAX_ID", r"\b[0-9]{2}-[0-9]{7}\b", 0.7, None, ("ein", "employer id", "tax id", "fein"), True),
    Rule("uk_nino", "NATIONAL_ID",
         r"\b[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z](?:[ -]?[0-9]{2}){3}[ -]?[a-d]\b", 0.8, checks.whole(_nino),
         ("national insurance", "nino", "ni number"), ignores_case=True),
    _id("canada_sin", r"\b[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{3}\b", 0.8, "canada_sin", ("sin", "social insurance",
        "nas", "assurance sociale"), unless=("sin(", "sin (", "asin(")),
    _id("spain_nif", r"\b(?:[0-9]{8}|[xyz][0-9]{7})[ -]?[a-z]\b", 0.8, "spain_nif",
        ("dni", "nie", "nif", "identidad"), alone=True),
    _id("italy_fiscal_code", r"\b[a-z]{6}[0-9lmnp-v]{2}[a-ehlmpr-t][0-9lmnp-v]{2}[a-z][0-9lmnp-v]{3}[a-z]\b", 0.95,
        "italy_fiscal_code", ("codice fiscale",), alone=True),
    _id("france_nir",
        r"\b[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[ab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        0.8, "france_nir", ("nir", "sécurité sociale", "securite sociale"), alone=True),
    _id("germany_tax_id", r"\b[1-9][0-9](?: ?[0-9]{3}){3}\b", 0.8, "germany_tax_id",
        ("steuer", "tax id", "idnr", "steuer-id")),
    _id("netherlands_bsn", r"\b[0-9]{9}\b", 0.8, "netherlands_bsn", ("bsn", "burgerservice", "sofi")),
    _id("poland_pesel", r"\b[0-9]{11}\b", 0.8, "poland_pesel", ("pesel",)),
    _id("brazil_cpf", r"\b[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-[0-9]{2}\b", 0.9, "brazil_cpf", ("cpf",), alone=True),
    _id("brazil_cpf_plain", r"\b[0-9]{11}\b", 0.8, "brazil_cpf", ("cpf",)),
    _id("india_aadhaar", r"\b[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}\b", 0.7, "india_aadhaar",
        ("aadhaar", "aadhar", "uidai"), alone=True),
    _id("india_aadhaar_plain", r"\b[2-9][0-9]{11}\b", 0.8, "india_aadhaar", ("aadhaar", "aadhar", "uidai")),
    Rule("india_pan", "TAX_ID", r"\b[a-z]{3}[abcfghljptk][a-z][0-9]{4}[a-z]\b", 0.7, None,
         ("pan", "permanent account", "income tax"), True, ignores_case=True),
    Rule("india_pan_of_person", "TAX_ID", r"\b[A-Z]{3}P[A-Z][0-9]{4}[A-Z]\b", 0.6),
    _id("brazil_pis", r"\b[0-9]{3}\.[0-9]{5}\.[0-9]{2}-[0-9]\b", 0.8, "brazil_pis", ("pis", "pasep", "nis", "nit"),
        alone=True),
    _id("poland_nip", r"\b[0-9]{3}-(?:[0-9]{3}-[0-9]{2}-[0-9]{2}|[0-9]{2}-[0-9]{2}-[0-9]{3})\b", 0.8, "poland_ni"
        "p", ("nip",),
        alone=True),
    Rule("portugal_card", "NATIONAL_ID", r"\b[0-9]{8} ?[0-9] ?[A-Z]{2}[0-9]\b", 0.7, None,
         ("cartão de cidad", "cartao de cidad", "cidadão", "bilhete de ident", "cc n"), True),
    Rule("europe_health_card", "HEALTH_ID", r"\b80[0-9]{18}\b", 0.7, None,
         ("tessera", "team", "ehic", "cartão europeu", "tarjeta sanitaria", "carte européenne", "krankenvers", "ceam",
          "ekuz"), True),
    _id("australia_tfn", r"\b[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}\b", 0.8, "australia_tfn", ("tfn", "tax file")),
    Rule("passport", "PASSPORT", r"\b(?:[a-z]{1,2}[ ]?[0-9]{6,8}|[0-9]{9}|[cfghjk][0-9cfghjklmnprtvwxyz]{8})\b", 0.7,
         lambda text: len(text) if any(char.isdigit() for char in text) else 0,
         ("passport", "reisepass", "passeport", "pasaporte", "passaporto", "passaporte", "paszport", "paspoort",
          "pasaport", "cestovní pas", "útlevél", "pasport", "passnummer", "pass nr", "passinumero", "pas nr", "паспорт",
          "护照", "パスポート", "여권"), True, ignores_case=True),
    Rule("driving_licence", "NATIONAL_ID",
         r"\b(?:[a-z]{1,2}[0-9]{6,13}|[a-z9]{5}[0-9]{6}[a-z9]{2}[0-9][a-z]{2}|[0-9]{7,9})\b",
         0.7, None, ("driver's licen", "driving licen", "driver licen", "drivers licen", "licence number",
                     "license number", "fuhrerschein"), True, ignores_case=True),
    Rule("date_of_birth", "DATE_OF_BIRTH", DATE, 0.9, checks.whole(_is_date), _BIRTH, True, ignores_case=True),
    Rule("age_labelled", "DATE_OF_BIRTH", r"\bage[d]?\"?(?: is)?[ "
                                        r":=]{1,3}(?P<v>9[0-9]|1[01][0-9])\b", 0.7, ignores_case=True),
    Rule("age_over_89", "DATE_OF_BIRTH", r"\b(?P<v>9[0-9]|1[01][0-9])[ -]?(?:years?[ -]old|y/?o|yrs?)\b", 0.7,
         ignores_case=True),
)  # fmt: skip
