"""Values whose form is rare: cards of other lengths, numbers of other countries and trades."""

from appliance.bench.payloads.hostile import Hostile

_FORMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Mastercard 2-series", "card 2221 0012 3412 3456", ("2221001234123456",)),
    ("19 digits", "card 6304 0000 0000 0000 008", ("6304000000000000008",)),
    ("American Express", "amex 3782 822463 10005", ("378282246310005",)),
    ("NPI", "provider NPI 1234567893", ("1234567893",)),
    ("DEA", "DEA# AB1234563", ("AB1234563",)),
    ("member id", "Member ID XYZ123456789", ("XYZ123456789",)),
    ("NINO", "NI number: QQ 12 34 56 C and AB123456C", ("AB123456C",)),
    ("NHS", "NHS 943 476 5919", ("9434765919",)),
    ("passport", "passport no. 533380006", ("533380006",)),
    ("passport with letters", "Passport: C01X00T47", ("C01X00T47",)),
    ("Aadhaar", "aadhaar 2341 2341 2346", ("234123412346",)),
    ("GPS", "seen at 48.858370, 2.294481", ("48.858370", "2.294481")),
    ("GPS in degrees", "at 48°51'30.1\"N 2°17'40.1\"E", ("48°51'30.1",)),
    ("IPv6", "from 2001:db8:85a3::8a2e:370:7334", ("2001:db8:85a3::8a2e:370:7334",)),
    ("UK phone", "ring 020 7946 0958", ("02079460958",)),
    ("Indian phone", "mobile 98765 43210", ("9876543210",)),
    ("US address", "ship to 742 Evergreen Terrace, Springfield, IL 62704", ("742 Evergreen",)),
    ("UK address", "10 Downing Street, London SW1A 2AA", ("10 Downing", "SW1A 2AA")),
    ("German address", "Hauptstraße 12, 10115 Berlin", ("Hauptstraße 12",)),
    ("French address", "12 rue de la Paix, 75002 Paris", ("12 rue de la Paix",)),
    ("glued MRN", "see MRN00123456 today", ("00123456",)),
    ("age over 89", "a 93-year-old woman", ("93",)),
    ("age with a label", "Age: 94, male", ("94",)),
    ("sort code", "sort code 12-34-56 account 12345678", ("123456", "12345678")),
    ("EIN", "EIN 12-3456789", ("123456789",)),
    ("SWIFT", "BIC: DEUTDEFF500", ("DEUTDEFF500",)),
    ("Spanish DNI", "DNI 12345678Z", ("12345678Z",)),
    ("Brazilian CPF", "CPF 529.982.247-25", ("52998224725",)),
    ("licence", "driver's license number D1234567", ("D1234567",)),
    ("date of birth in words", "she was born on the 3rd of March 1980", ("3rd of March 1980",)),
)  # fmt: skip


def forms() -> list[Hostile]:
    """Cases of the kind `format`."""
    return [Hostile("format", name, text, hidden) for name, text, hidden in _FORMS]
