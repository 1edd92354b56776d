"""E-mail addresses, phone numbers, postal addresses, and addresses of machines."""

import ipaddress

from redaction.detectors import checks
from redaction.detectors.rules import Rule

_PHONE = (
    "phone", "tel", "mobile", "cell", "call", "fax", "whatsapp", "sms", "contact", "ring", "text", "handy", "telefon",
)  # fmt: skip
_DIALLED = (
    "phone", "tel:", "tel.", "telephone", "mobile", "cell", "whatsapp", "call me", "fax", "sms", "contact", "ring me",
    "telefon", "reach me", "my number", "dial-in", "dial in", "callback", "call back", "teléfon", "téléphone", "móvil",
    "movil", "celular", "cellulare", "portable", "gsm", "handy", "rufnummer", "rückruf", "zurückrufen", "meine nummer",
    "erreichbar", "mijn nummer", "bellen", "puhelin", "numeroon", "numeroni", "soita", "tlf", "mit nummer",
    "mitt nummer", "ring tilbage", "ring tillbaka",
    "ringe", "ringa", "mi número", "mi numero", "llamar", "llámame", "llamada", "il mio numero", "chiamare",
    "chiama", "mon numéro", "appeler", "rappeler", "mój numer", "dzwoni", "zadzwo", "pod numer", "oddzwo", "meu número",
    "ligar", "retornar em", "moje číslo", "zavolej", "volejte", "numaram", "numarası", "arayın", "hívj", "hívás",
    "nomor", "sunați", "hívja", "vissza", "bel me", "nazovite", "pokličite", "pokliči", "zavolajte",
    "volajte", "ring meg", "liguem", "ligue", "márque", "marcar", "hubungi", "joignable", "no. hp",
    "ping me", "revert on", "durchwahl", "notfall", "benachricht", "número es", "numero es", "numero è", "numéro est",
    "bel hem", "bel haar", "telefoo", "kontakt", "dzwoń", "napiš", "na čísle", "liga-lhe", "liga para", "telem", "tel ",
    "puh",    "zap ", "nås på", "nåes på", "tag fat i", "emergency", "urgence", "prévenir", "urgenci",
    "emergenza", "yhteys", "iletişim",
    "ulaş", "elérhet", "contatto", "contactar", "contactez", "joindre", "kontak", "liên hệ", "kapcsolat", "στο", "τηλ",
    "ring til", "ring på", "hp ", "hp:", "txt", "text me", "call my", "call her", "call his", "call us",
    "сотов", "тел", "моб", "звон", "电话", "手机", "電話", "携帯", "전화", "연락",
)  # fmt: skip
"""Words that are said beside a number that is dialled, in the languages of redaction/tongues.py."""
_MASK = 255
_HOST_BITS = 32
_EXTENSION = r"(?: ?(?:x|ext\.?|extension) ?[0-9]{1,6})?\b"
_AT = r"(?:[\[({<*] ?(?:at|\xe4t|@) ?[\])}>*]|[ _\-]at[ _\-])"
_DOT = r"(?:[\[({<*] ?(?:dot|punkt|\.) ?[\])}>*]|[ _\-]dot[ _\-]| punkt )"
_AT_ABROAD = r" ?(?:arobase|arroba|chiocciola|kukac|zavin\xe1\xe8|malpa|ap[ae]nstaartje|snabel-?a|kr\xf8llalfa) ?"
_DOT_ABROAD = r" ?(?:\.|dot|punkt|point|punto|ponto|piste|te\xe8ka|kropka|punt|pont) ?"
_TOP = (
    r"(?:com|net|org|edu|gov|info|biz|io|dev|app|de|fr|it|es|nl|be|pl|uk|eu|ch|at|se|no|dk|fi|cz|sk|hu|ro|hr|si|pt|br"
    r"|ie|gr|tr|ru|ua|in|au|nz|ca|us|mx|ar|jp|cn|kr|za|il)"
)
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]"
    r"|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
)


def _ip(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    is_mask = found.version == 4 and found.packed[0] == _MASK and found.packed[3] in (0, 128, 192, 224, 240, 248, 252)
    return not (found.is_loopback or found.is_unspecified or found.is_multicast or is_mask)


def _ipv4(text: str) -> int:
    """How much of it is somebody's address: `10.0.0.0/8` is a network."""
    address, slash, bits = text.partition("/")
    if not _ip(address):
        return 0
    is_network = slash and int(bits) < _HOST_BITS and int(ipaddress.ip_address(address)) % (1 << (32 - int(bits))) == 0
    return 0 if is_network else len(address)


def _ipv6(text: str) -> int:
    value = text.rstrip(":.") if not text.endswith("::") else text
    enough = value.count(":") >= 3 or ("::" in value and any(char.isdigit() for char in value) and len(value) > 4)
    return len(value) if enough and _ip(value) else 0


def _international(text: str) -> int:
    """ITU-T E.164: up to 15 digits behind the plus, country codes begin with 1 to 9. Takes whole groups of digits."""
    number = text.lower().partition("x")[0].partition("e")[0]
    ends = [place for place in range(1, len(number) + 1) if place == len(number) or not number[place].isalnum()]
    end = next((end for end in reversed(ends) if 8 <= len(checks.digits(number[:end])) <= 15), 0)
    return len(text) if end == len(number) else end


def _north_american(text: str) -> int:
    """NANP: the area begins with 2 to 9; an extension may follow."""
    number = checks.digits(text.lower().partition("x")[0].partition("e")[0]).removeprefix("00")
    if len(number) == 11 and number[0] == "1":
        number = number[1:]
    return len(text) if len(number) == 10 and number[0] >= "2" else 0


def _phone_long(text: str) -> bool:
    return 8 <= len(checks.digits(text)) <= 12


def _phone_trunk(text: str) -> bool:
    """A long number behind a trunk prefix, no year, and no number of a case with its year: `0114/2024`."""
    groups = "".join(char if char.isdigit() else " " for char in text).split()
    is_case = "/" in text and len(groups) == 2 and len(groups[1]) == 4 and groups[1][:2] in ("19", "20")
    return 9 <= sum(map(len, groups)) <= 12 and not is_case


def _phone_like(text: str) -> bool:
    """Seven to fifteen digits that are no date: `2024-01-01` and `01/03/2024` stand near phones as well."""
    groups = "".join(char if char.isdigit() else " " for char in text).split()
    sizes = [len(group) for group in groups]
    is_date = sizes in ([4, 2, 2], [2, 2, 4], [4, 2, 2, 2]) and ("19" <= max(groups, key=len)[:2] <= "20")
    return 7 <= sum(sizes) <= 15 and not is_date


RULES = (
    Rule("email", "EMAIL",
         r"\b[a-z0-9][a-z0-9._%+'\-]{0,63}@(?:[a-z0-9\-]{1,63}\.){1,8}[a-z][a-z0-9\-]{1,23}\b", 1.0, ignores_case=True),
    Rule("email_spelt", "EMAIL",
         rf"\b[a-z0-9][a-z0-9._+\-]{{0,63}}(?: ?{_DOT} ?[a-z0-9+\-]{{1,63}}){{0,3}}"
         rf" ?(?:{_AT}|@) ?[a-z0-9\-]{{1,63}}(?: ?(?:{_DOT}|\.) ?[a-z0-9\-]{{1,63}}){{0,3}}"
         rf" ?{_DOT} ?[a-z]{{2,12}}\b", 0.8, ignores_case=True),
    Rule("email_abroad", "EMAIL",
         rf"\b[a-z0-9][a-z0-9._+\-]{{0,63}}(?:{_DOT_ABROAD}[a-z0-9+\-]{{1,63}}){{0,3}}{_AT_ABROAD}"
         rf"[a-z0-9\-]{{1,63}}(?:{_DOT_ABROAD}[a-z0-9\-]{{1,63}}){{0,3}}{_DOT_ABROAD}{_TOP}\b", 0.8, ignores_case=True),
    Rule("email_hidden", "EMAIL",
         r"\b[a-z0-9][a-z0-9._+\-]{0,63}(?: ?[\[({<*_\-] ?(?:at|a|\xe4t|arobase|arroba|chiocciola"
         r"|@) ?[\])}>*_\-] ?| @ ?|@ )"
         rf"(?:[a-z0-9\-]{{1,63}} ?\. ?){{1,4}}{_TOP}\b", 0.8, ignores_case=True),
    Rule("phone_international", "PHONE",
         r"(?:\+|\b00)[1-9][0-9]{0,2}(?:[ .\-/]{0,2}\(?[0-9]\)?){7,13}" + _EXTENSION, 0.9, _international,
         is_apart=True),
    Rule("phone_beside_mail", "PHONE",
         r"(?:^|[^0-9A-Za-z#])(?P<v>[+(]{0,2}[0-9](?:[ ().\-/]{0,2}[0-9]){6,14}" + _EXTENSION
         + r") ?[|\xb7?,;/] ?(?:e-?mail:? ?|<)?[a-z0-9][a-z0-9._%+\-]{0,63}@", 0.7, checks.whole(_phone_like),
         ignores_case=True),
    Rule("phone_behind_mail", "PHONE",
         r"@[a-z0-9.\-]{3,80}>? ?[|\xb7?,;/] ?(?:[a-z]{1,6}[.:]{1,2} ?)?"
         r"(?P<v>[+(]{0,2}[0-9](?:[ ().\-/]{0,2}[0-9]){6,14}" + _EXTENSION + ")", 0.7, checks.whole(_phone_like),
         ignores_case=True),
    Rule("phone_initial", "PHONE",
         r"(?:^|[\n|\xb7?,;] ?)(?:[MTPFCH]|Tel|Mob|Ph|Fx|Cel|Cell)(?:[.:]{1,2} ?| )"
         r"(?P<v>[+(]{0,2}[0-9](?:[ ().\-/]{0,2}[0-9]){6,14}" + _EXTENSION + ")", 0.7, checks.whole(_phone_like)),
    Rule("phone_north_america", "PHONE",
         r"(?:\b(?:00)?1[ .\-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .\-])[0-9]{3}[ .\-][0-9]{4}" + _EXTENSION, 0.6,
         _north_american, _PHONE),
    Rule("phone_brazil", "PHONE", r"(?:\([1-9][0-9]\)|\b[1-9][0-9]) 9?[0-9]{4}-[0-9]{4}\b", 0.6, None, _PHONE),
    Rule("phone_uk", "PHONE",
         r"(?:\b0(?:20[ \-]?[0-9]{4}[ \-]?[0-9]{4}|7[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{3}"
         r"|1[0-9]{3}[ \-][0-9]{3}[ \-]?[0-9]{3}"
         r"|1[0-9]1[ \-][0-9]{3}[ \-]?[0-9]{4}))\b", 0.6, None, _PHONE),
    Rule("phone_area_code", "PHONE", r"\(0[0-9]{1,4}\)(?:[ \-]?[0-9]{3,4}[ \-]?[0-9]{3,5}| ?[0-9]{2,3}(?:[ "
                                     r"\-]?[0-9]{2,3}){2,3})\b", 0.7,
         None, _PHONE),
    Rule("phone_france", "PHONE", r"\b0[1-9](?:[ .\-][0-9]{2}){4}\b", 0.7, None, _PHONE),
    Rule("phone_australia", "PHONE", r"\b(?:04[0-9]{2}[ \-][0-9]{3}[ \-][0-9]{3}|0[2378][ "
                                     r"\-][0-9]{4}[ \-][0-9]{4})\b", 0.7, None,
         _PHONE),
    Rule("phone_trunk", "PHONE", r"\b0[1-9][0-9]{0,4}(?: ?[/\-] ?| )[0-9]{2,8}(?:[ \-]?[0-9]{2,4}){0,4}\b", 0.6,
         checks.whole(_phone_trunk), _PHONE, is_apart=True),
    Rule("phone_trunk_short", "PHONE", r"\b0[1-9][0-9]{0,3}[ /\-][0-9]{3,8}(?:[ \-]?[0-9]{2,4}){0,3}\b", 0.6,
         checks.whole(_phone_long), _DIALLED, True, is_apart=True),
    Rule("phone_dialled", "PHONE",
         r"(?:^|[^a-z0-9_])(?:call(?:ing|ed|back)?|ring|dial(?:led)?|text|phone|phoned|tel|mobile|cell"
         r"|fax|whatsapp|sms|reach(?:able)?"
         r"|my number|(?:his|her|their|your|our|contact|callback|phone|mobile|home|work) (?:number|line))"
         r"(?:,? (?:me|us|him|her|them|back|on|at|via|is|was|now|directly|anytime|today"
         r"|tomorrow|please)){0,5}(?: |: |= ?)"
         r"(?P<v>[+(]{0,2}[0-9](?:[ ().\-/]{0,2}[0-9]){6,13})\b", 0.7, checks.whole(_phone_like),
         ignores_case=True),
    Rule("phone_bracketed", "PHONE", r"\((?P<v>0[0-9]{8,10}|[2-9][0-9]{8,9})\)", 0.6),
    Rule("phone_in_brackets", "PHONE",
         r"\((?P<v>[0-9](?:[ .\-]?[0-9]){6,12})\)", 0.6, checks.whole(_phone_like), _PHONE,
         True),
    Rule("phone_plain", "PHONE", r"\b(?:0[1-9][0-9]{8,9}|1?[2-9][0-9]{2}[2-9][0-9]{6})\b", 0.6, None,
         ("contact", "call", "ring", "dial", "reach", "tel", "mobile", "phone", "cell", "whatsapp", "sms", "fax"),
         True),
    Rule("phone_india", "PHONE", r"\b[6-9][0-9]{4}[ -][0-9]{5}\b", 0.5, None, _PHONE),
    Rule("phone_by_context", "PHONE", r"(?:\(0?[0-9]{2,5}\)|\b[0-9])(?:[ .\-/]?[0-9]){6,12}\b", 0.6,
         checks.whole(_phone_like), _DIALLED, True, is_apart=True),
    Rule("phone_china", "PHONE", r"(?:^|[^0-9A-Za-z])(?P<v>1[3-9][0-9]{9})(?:[^0-9A-Za-z]|$)", 0.8, None, _DIALLED,
        True),
    Rule("uk_postcode", "ADDRESS", r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][ABD-HJLNP-UW-Z]{2})\b", 0.7),
    Rule("ca_postcode", "ADDRESS", r"\b[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z] [0-9][ABCEGHJ-NPRSTV-Z][0-9]\b", 0.7),
    Rule("nl_postcode", "ADDRESS", r"\b[1-9][0-9]{3} "
                                   r"?[A-Z]{2},? "
                                   r"[A-Z][a-z]{2,20}\b", 0.6, None, ("adres", "postcode", "straat", "laan"),
         True),
    Rule("city_by_context", "ADDRESS", r"\b[0-9]{5} [A-Z\xc0-\xde][a-z\xdf-\xff]{2,25}\b", 0.7, None,
         ("address", "adresse", "anschrift", "wohn", "stra\xdfe", "strasse"), True),
    Rule("us_city_zip", "ADDRESS",
         r"\b(?:[A-Z][a-z]{2,15} ){0,2}[A-Z][a-z]{2,15}, " + _STATE + r" [0-9]{5}(?:-[0-9]{4})?\b",
         0.8),
    Rule("postal_code_labelled", "ADDRESS",
         r"\b(?:zip|postal|post|pin|postcode|plz|eircode)(?:[ _\-]?code)?\"?'?(?: is| of| number)?[ :=#]{1,3}\"?'?"
         r"(?P<v>[0-9]{4,6}(?:-[0-9]{3,4})?|[A-Z][0-9][A-Z0-9] ?[0-9A-Z]{3,4})\b", 0.7, ignores_case=True),
    Rule("gps", "LOCATION",
         r"(?:^|[^0-9.])(?P<v>-?[0-9]{1,2}\.[0-9]{4,9}(?:\xb0? ?[NS])?,"
         r"\s?-?[0-9]{1,3}\.[0-9]{4,9}(?:\xb0? ?[EW])?)", 0.7),
    Rule("gps_degrees", "LOCATION",
         r"\b[0-9]{1,3}\xb0 ?[0-9]{1,2}(?:\.[0-9]+)?['?] ?(?:[0-9]{1,2}(?:\.[0-9]{1,4})?[\"'?]{1,2} "
         r"?)?[NS],? ?[0-9]{1,3}\xb0 ?[0-9]{1,2}"
         r"(?:\.[0-9]+)?['?] ?(?:[0-9]{1,2}(?:\.[0-9]{1,4})?[\"'?]{1,2} ?)?[EW]", 0.8),
    Rule("ipv4", "IP_ADDRESS",
         r"(?:^|[^0-9.a-z\-])v?(?P<v>(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/[0-9]{1,2})?)\b", 0.8, _ipv4,
         unless=("version", "versions", "firmware", "release", "build", "ver", "ver.", "assembly", "driver",
         "kernel", "bios",
                 "oid", "section", "chapter", "clause", "package", "sdk", "rev", "revision", "update", "upgrade")),
    Rule("ipv6", "IP_ADDRESS",
         r"(?:^|[^0-9a-z:.])(?P<v>[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)",
         0.8, _ipv6, ignores_case=True),
    Rule("mac", "MAC_ADDRESS",
         r"\b(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2})\b", 0.9,
         ignores_case=True),
)  # fmt: skip
