"""Check digits, against numbers that their issuers publish as examples."""

from collections.abc import Callable

import pytest

from redaction.detectors import checks
from redaction.detectors.finance import card, iban

EXAMPLES = [
    (checks.luhn, "4111111111111111", "payment processors' test card"),
    (checks.verhoeff, "2363", "Verhoeff's own example"),
    (checks.mod97, "GB82WEST12345698765432", "ISO 13616"),
    (checks.nhs, "943 476 5919", "NHS Data Dictionary"),
    (checks.us_ssn, "123-45-6789", "the form of an SSN"),
    (checks.us_routing, "021000021", "ABA, New York"),
    (checks.us_npi, "1234567893", "CMS, NPI check digit"),
    (checks.us_dea, "AB1234563", "DEA examples"),
    (checks.canada_sin, "130 692 544", "Service Canada, test number"),
    (checks.spain_nif, "12345678Z", "Interior Ministry's example"),
    (checks.italy_fiscal_code, "RSSMRA85T10A562S", "Agenzia delle Entrate's example"),
    (checks.france_nir, "2 55 08 14 168 025 38", "INSEE's example"),
    (checks.germany_tax_id, "86095742719", "BZSt, test number"),
    (checks.netherlands_bsn, "111222333", "test BSN of Logius"),
    (checks.poland_pesel, "44051401359", "PESEL example"),
    (checks.brazil_cpf, "529.982.247-25", "CPF example"),
    (checks.india_aadhaar, "2341 2341 2346", "UIDAI's sample"),
    (checks.australia_tfn, "123456782", "ATO, test number"),
]


@pytest.mark.parametrize(("check", "number", "source"), EXAMPLES, ids=[each[0].__name__ for each in EXAMPLES])
def test_a_published_example_is_valid(check: Callable[[str], bool], number: str, source: str) -> None:
    """The source is what a reader checks the sum against."""
    assert check(number), source


@pytest.mark.parametrize(("check", "number", "source"), EXAMPLES, ids=[each[0].__name__ for each in EXAMPLES])
def test_one_wrong_digit_is_invalid(check: Callable[[str], bool], number: str, source: str) -> None:
    """Without this a check that says yes to all would pass."""
    if check is checks.us_ssn:
        assert not check("000-45-6789"), "it has no check digit; the area was never issued"
        return
    place = max(index for index, char in enumerate(number[:-1]) if char.isdigit())
    changed = number[:place] + str((int(number[place]) + 1) % 10) + number[place + 1 :]
    assert not check(changed), source


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("4111111111111111", "4111111111111111"),
        ("4111 1111 1111 1111 12/27", "4111 1111 1111 1111"),
        ("3782 822463 10005", "3782 822463 10005"),
        ("2223003122003222", "2223003122003222"),
        ("6212345678900000003", "6212345678900000003"),
        ("4111111111111112", ""),
        ("1700000000000", ""),
        ("41111111111111111111111", ""),
        ("0000000000000000", ""),
    ],
)
def test_a_card_has_an_issuer_a_length_and_a_check_digit(run: str, expected: str) -> None:
    """Luhn alone takes one number in ten."""
    start, end = card(run)
    assert expected == run[start:end]


def test_an_iban_ends_where_its_country_says() -> None:
    """Words behind it are not a part of it."""
    text = "DE89 3704 0044 0532 0130 00 bis morgen"
    assert "DE89 3704 0044 0532 0130 00" == text[: iban(text)]
