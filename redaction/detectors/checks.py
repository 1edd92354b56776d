"""Check digits: the sums that tell an identifier from a number. Each names its source. Pure."""

from collections.abc import Callable, Sequence

_VERHOEFF_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def digits(text: str) -> str:
    """The decimal digits of a text."""
    return "".join(char for char in text if "0" <= char <= "9")


def alphanumerics(text: str) -> str:
    """ASCII letters and digits of a text, in upper case."""
    return "".join(char for char in text if char.isascii() and char.isalnum()).upper()


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    odd = sum(map(int, number[-1::-2]))
    even = sum(digit * 2 - 9 * (digit > 4) for digit in map(int, number[-2::-2]))
    return (odd + even) % 10 == 0


def verhoeff(number: str) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes (1969); used by Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = int(_VERHOEFF_PRODUCT[check][int(_VERHOEFF_PERMUTATION[place % 8][int(digit)])])
    return check == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10, as ISO 13616 applies it to an IBAN."""
    moved = text[4:] + text[:4]
    if not moved.isascii():  # a letter with a mark stands for itself, whatever a pattern took it for
        return False
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


def weighted(number: str, weights: Sequence[int]) -> int:
    """The sum of digits, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def nhs(text: str) -> bool:
    """NHS Data Dictionary, NHS NUMBER: modulus 11 over ten digits."""
    number = digits(text)
    check = 11 - weighted(number, range(10, 1, -1)) % 11
    return len(number) == 10 and check != 10 and check % 11 == int(number[9]) and len(set(number)) > 1


def us_ssn(text: str) -> bool:
    """SSA: area 000, 666 and 9xx, group 00 and serial 0000 were never issued. It has no check digit."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return len(number) == 9 and area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def us_routing(text: str) -> bool:
    """ABA routing number: weights 3, 7, 1 modulo 10, the first two digits a Federal Reserve district."""
    number = digits(text)
    district = int(number[:2] or 99)
    in_use = district <= 12 or 21 <= district <= 32 or 61 <= district <= 72 or district == 80
    return len(number) == 9 and in_use and weighted(number, (3, 7, 1) * 3) % 10 == 0 and number != "000000000"


def us_npi(text: str) -> bool:
    """CMS, NPI check digit: Luhn over 80840 and the number."""
    number = digits(text)
    return len(number) == 10 and number[0] in "12" and luhn("80840" + number)


def us_dea(text: str) -> bool:
    """DEA number: the last digit of (1st+3rd+5th) + 2 × (2nd+4th+6th) is the 7th."""
    number = digits(text)
    return len(number) == 7 and weighted(number, (1, 2, 1, 2, 1, 2)) % 10 == int(number[6])


def canada_sin(text: str) -> bool:
    """Social Insurance Number: Luhn over nine digits, none beginning with 0 or 8."""
    number = digits(text)
    return len(number) == 9 and number[0] not in "08" and luhn(number)


def spain_nif(text: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23 (Real Decreto 1553/2005)."""
    value = alphanumerics(text)
    number = value[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == value[-1]


def italy_fiscal_code(text: str) -> bool:
    """Codice fiscale: the 16th character (D.M. 12/03/1974 and 23/12/1976)."""
    value = alphanumerics(text)
    odd = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True))
    odd |= dict(
        zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
                                           10, 22, 25, 24, 23), strict=True)
    )  # fmt: skip
    total = sum(odd[char] for char in value[:15:2])
    total += sum(int(char) if char.isdigit() else ord(char) - 65 for char in value[1:15:2])
    return len(value) == 16 and chr(65 + total % 26) == value[15]


def france_nir(text: str) -> bool:
    """INSEE, NIR: the last two digits are 97 minus the rest modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    value = alphanumerics(text).replace("2A", "19").replace("2B", "18")
    return len(value) == 15 and value.isdigit() and 97 - int(value[:13]) % 97 == int(value[13:])


def germany_tax_id(text: str) -> bool:
    """Steueridentifikationsnummer: ISO 7064 MOD 11,10 over eleven digits, one digit twice or thrice in ten."""
    number = digits(text)
    product = 10
    for digit in number[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    is_spread = len(number) == 11 and number[0] != "0" and len(set(number[:10])) in (8, 9)
    return is_spread and (11 - product) % 10 == int(number[10])


def netherlands_bsn(text: str) -> bool:
    """Burgerservicenummer: the elfproef."""
    number = digits(text)
    return len(number) == 9 and number != "0" * 9 and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def poland_pesel(text: str) -> bool:
    """PESEL: weights 1, 3, 7, 9 modulo 10."""
    number = digits(text)
    return len(number) == 11 and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0 and number[2:4] != "00"


def brazil_cpf(text: str) -> bool:
    """Receita Federal, CPF: two check digits modulo 11."""
    number = digits(text)
    if len(number) != 11 or len(set(number)) == 1:
        return False
    first = weighted(number[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number[:10], range(11, 1, -1)) * 10 % 11 % 10
    return number[9:] == f"{first}{second}"


def india_aadhaar(text: str) -> bool:
    """UIDAI: Verhoeff over twelve digits, the first from 2."""
    number = digits(text)
    return len(number) == 12 and number[0] >= "2" and verhoeff(number)


def australia_tfn(text: str) -> bool:
    """ATO, tax file number: weights modulo 11."""
    number = digits(text)
    return len(number) == 9 and weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and number != "0" * 9


def whole(is_valid: Callable[[str], bool]) -> Callable[[str], int]:
    """A rule's check from one that says yes or no to all of a match."""
    return lambda text: len(text) if is_valid(text) else 0


def brazil_pis(text: str) -> bool:
    """PIS/PASEP/NIS: weights 3 2 9 8 7 6 5 4 3 2 modulo 11 (Caixa Econômica Federal)."""
    number = digits(text)
    rest = 11 - weighted(number[:10], (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return int(number[10]) == (0 if rest > 9 else rest)


def poland_nip(text: str) -> bool:
    """NIP: weights 6 5 7 2 3 4 5 6 7 modulo 11 (Dz.U. 1995 nr 142 poz. 702)."""
    number = digits(text)
    return weighted(number[:9], (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(number[9])
