"""Payment cards, IBANs and bank accounts."""

from collections.abc import Iterator
from itertools import accumulate, pairwise

from redaction.detectors import checks
from redaction.detectors.rules import Rule

_IBAN_REGISTRY = """
  AD 24 AE 23 AL 28 AT 20 AZ 28 BA 20 BE 16 BG 22 BH 22 BI 27 BR 29 BY 28 CH 21 CR 22 CY 28 CZ 24 DE 22 DJ 27
  DK 18 DO 28 EE 20 EG 29 ES 24 FI 18 FK 18 FO 18 FR 27 GB 22 GE 22 GI 23 GL 18 GR 27 GT 28 HN 28 HR 21 HU 28
  IE 22 IL 23 IQ 23 IS 26 IT 27 JO 30 KW 30 KZ 20 LB 28 LC 32 LI 21 LT 20 LU 20 LV 21 LY 25 MC 27 MD 24 ME 22
  MK 19 MN 20 MR 27 MT 31 MU 30 NI 28 NL 18 NO 15 OM 23 PK 24 PL 28 PS 29 PT 25 QA 29 RO 24 RS 22 RU 33 SA 24
  SC 31 SD 18 SE 24 SI 19 SK 24 SM 27 SO 23 ST 25 SV 28 TL 23 TN 24 TR 26 UA 29 VA 22 VG 24 XK 20 YE 30
"""
_IBAN_LENGTHS = {country: int(length) for country, length in pairwise(_IBAN_REGISTRY.split()) if country.isalpha()}
"""The SWIFT IBAN registry, release 99."""

_BRANDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (180_000, 180_099, (15,)),  # JCB, before 2007
    (213_100, 213_199, (15,)),  # JCB, before 2007
    (300_000, 305_999, (14, 16)),  # Diners Club
    (340_000, 349_999, (15,)),  # American Express
    (350_000, 359_999, (16, 17, 18, 19)),  # JCB, and the ranges that were its own before
    (360_000, 369_999, (14, 16)),  # Diners Club
    (370_000, 379_999, (15,)),  # American Express
    (380_000, 399_999, (14, 16)),  # Diners Club
    (400_000, 499_999, (16, 13, 19)),  # Visa
    (500_000, 509_999, (16, 19)),  # Maestro, Elo, Verve
    (510_000, 559_999, (16,)),  # Mastercard
    (560_000, 589_999, (16, 19)),  # Maestro
    (222_100, 272_099, (16,)),  # Mastercard 2-series
    (220_000, 220_499, (16, 19)),  # Mir
    (600_000, 699_999, (16, 19, 18, 17)),  # Discover, UnionPay, RuPay, Maestro
    (810_000, 817_199, (16, 19)),  # UnionPay
)
"""First and last issuer number, and the lengths of its cards, the usual one first; from the brands' BIN tables."""
_SHORTEST, _LONGEST = 13, 19


def card(run: str) -> tuple[int, int]:
    """Start and end of the first payment card in a run of digits and separators; (0, 0) when there is none."""
    return next(cards(run), (0, 0)) if len(run) >= _SHORTEST else (0, 0)


def cards(run: str) -> Iterator[tuple[int, int]]:
    """Start and end of each payment card in a run of digits and separators.

    A card begins and ends where a group of digits does, so that `4111 1111 1111 1111 12/27` is found and the middle
    of a longer number is not. Sums are kept for all places at once: linear in the run.
    """
    places = [place for place, char in enumerate(run) if "0" <= char <= "9"]
    if len(places) < _SHORTEST:
        return
    numbers = [int(run[place]) for place in places]
    total = len(numbers)
    doubled = [number * 2 - 9 * (number > 4) for number in numbers]
    sums = [
        list(accumulate((doubled[i] if i % 2 == parity else numbers[i] for i in range(total)), initial=0))
        for parity in (0, 1)
    ]
    free = 0
    for first in range(total - _SHORTEST + 1):
        if first < free or (first and places[first] == places[first - 1] + 1):
            continue
        for length in _lengths(numbers[first : first + 6]):
            last = first + length
            if last > total or (last < total and places[last] == places[last - 1] + 1):
                continue
            row = sums[last % 2]  # digits are doubled at every second place, counted from the last but one
            if (row[last] - row[first]) % 10 == 0 and len(set(numbers[first:last])) > 1:
                yield places[first], places[last - 1] + 1
                free = last
                break


def _lengths(leading: list[int]) -> tuple[int, ...]:
    issuer = int("".join(map(str, leading)))
    return next((lengths for low, high, lengths in _BRANDS if low <= issuer <= high), ())


def iban(text: str) -> int:
    """How many characters from the start are an IBAN; 0 when none is."""
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    taken = 0
    for place, char in enumerate(text):
        taken += char.isalnum()
        if taken == length:
            is_ended = place + 1 == len(text) or not text[place + 1].isalnum()
            return place + 1 if is_ended and checks.mod97(checks.alphanumerics(text[: place + 1])) else 0
    return 0


def _account(text: str) -> int:
    """Six to twenty digits that are no day."""
    is_day = [len(part) for part in text.replace(" ", "-").split("-")] in ([4, 2, 2], [2, 2, 4], [4, 2])
    return len(text) if 6 <= len(checks.digits(text)) <= 20 and not is_day else 0


RULES = (
    Rule("iban", "IBAN", r"(?:\b|\?[0-9]{2})(?P<v>[a-z]{2}[0-9]{2}(?:[ \-.]?[0-9a-z]){11,30})\b", 1.0, iban,
        ignores_case=True),
    Rule("card_by_context", "PAYMENT_CARD",
         r"\b(?:card|visa|master ?card|amex|american express|maestro|discover|jcb|diners)"
         r"(?: ?(?:number|no|num|nr|is|ending|holder))*"
         r"[ .:#=\-]{1,4}(?P<v>[0-9](?:[ \-]?[0-9]){11,18})\b", 0.7, ignores_case=True),
    Rule("card_code", "PAYMENT_CARD", r"\b(?:cvv2?|cvc2?|security code)(?: is)?[ :=]{1,3}(?P<v>[0-9]{3,4})\b", 0.8,
         ignores_case=True),
    Rule("us_routing", "BANK_ACCOUNT", r"\b[0-9]{9}\b", 0.7, checks.whole(checks.us_routing),
         ("routing", "aba", "rtn", "transit"), True),
    Rule("uk_sort_code", "BANK_ACCOUNT", r"\b[0-9]{2}[- ][0-9]{2}[- ][0-9]{2}\b", 0.8, None,
         ("sort code", "sortcode", "sort-code"), True),
    Rule("bank_account", "BANK_ACCOUNT",
         r"(?:account|acct|a/c|konto|konta|kontonummer|rachunku|compte|cuenta|conta|conto|rekeningnummer|rekening|tilinumero|\xfa[c\xe8]tu"
         r"|hesap|racuna|kontu)(?: ?(?:number|num|nummer|nr|no|n\xba|n\xb0|#))?\.?(?: is| ist| to| \xe8| es"
         r"| est)?[ :#=]{1,3}"
         r"(?P<v>[0-9][0-9 \-]{5,20}[0-9])\b", 0.8, ignores_case=True),
    Rule("account_by_context", "BANK_ACCOUNT", r"\b[0-9][0-9 \-]{4,22}[0-9]\b", 0.7,
         _account,
         ("acct", "acc ", "acc. ", "acc:", "bsb", "nib ", "account no", "bankszámla", "számlaszám", "broj računa",
         "broj racuna",
          "číslo účtu", "cislo uctu", "kontonummer", "konto nr", "kontonr", "rekening nomor", "rekeningnummer",
          "numer konta", "nr konta",
          "número de cuenta", "numero di conto", "numéro de compte", "clabe", "cbu", "transit"), True),
    Rule("uk_account", "BANK_ACCOUNT", r"\b[0-9]{8}\b", 0.6, None, ("sort code", "account number", "acct"), True),
    Rule("swift_bic", "BANK_ACCOUNT", r"\b[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b", 0.6, None, ("swift", "bic"), True),
)  # fmt: skip
