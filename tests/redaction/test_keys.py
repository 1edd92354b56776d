"""What names of keys say, and where what was found is found again."""

import pytest

from redaction.findings import Finding
from redaction.keys import entity_of_key, is_plausible, words_of
from redaction.propagation import Known
from redaction.wording import is_name, name_end

NAMED = [
    ("patientDOB", "", "DATE_OF_BIRTH"),
    ("Patient's date of birth", "", "DATE_OF_BIRTH"),
    ("emergency_contact_phone_1", "", "PHONE"),
    ("customerEmailAddress", "", "EMAIL"),
    ("X-Forwarded-For", "", "IP_ADDRESS"),
    ("GPSLatitude", "", "LOCATION"),
    ("AWS_SECRET_ACCESS_KEY", "", "API_KEY"),
    ("SMTP_PASS", "", "PASSWORD"),
    ("number", "card", "PAYMENT_CARD"),
    ("line", "address", "ADDRESS"),
    ("family", "name", "PERSON"),
    ("pass", "auth", "PASSWORD"),
]
SILENT = [
    "max_tokens", "prompt_tokens", "token_count", "next_page_token", "is_email", "email_verified", "password_policy",
    "key", "keyword", "primary_key", "product_name", "file_name", "hostname", "memory_address", "version", "id",
    "order_number", "account_type", "by_pass", "compass", "passengers", "cellar", "pinned", "street_view_enabled",
    "hashed_password",
]  # fmt: skip


@pytest.mark.parametrize(("key", "parent", "entity"), NAMED)
def test_a_key_is_read_in_any_spelling(key: str, parent: str, entity: str) -> None:
    """By its last words, or with the key above it."""
    assert entity == entity_of_key(key, parent)


@pytest.mark.parametrize("key", SILENT)
def test_a_key_that_says_nothing_stays_silent(key: str) -> None:
    """A call whose limits were masked fails."""
    assert "" == entity_of_key(key)


def test_words_of_camel_case_and_acronyms() -> None:
    """An acronym ends before the next word's capital."""
    assert ("gps", "latitude", "x", "api", "key") == words_of("GPSLatitude-xAPIKey")


@pytest.mark.parametrize(
    ("entity", "value"),
    [
        ("TOKEN", "string"),
        ("PASSWORD", "${DB_PASSWORD}"),
        ("PHONE", "yes"),
        ("IP_ADDRESS", "127.0.0.1"),
        ("EMAIL", "none"),
    ],
)
def test_types_templates_and_flags_are_no_values(entity: str, value: str) -> None:
    """A schema has the keys of a record."""
    assert not is_plausible(entity, value)


@pytest.mark.parametrize(
    "text", ["Anna Berg", "Berg, Anna", "Dr. Anna M. Berg", "Ludwig van Beethoven", "O'Neil-Smith Jo Ann"]
)
def test_a_name_is_known_by_its_shape(text: str) -> None:
    """Capitals, initials, particles, a comma."""
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["anna", "Order Status", "Visual Studio", "R2 D2", "Heart rate", "a b", "Monday Morning"]
)
def test_what_has_no_shape_of_a_name_is_none(text: str) -> None:
    """Titles and products have capitals too."""
    assert not is_name(text)


def test_a_name_ends_where_other_words_begin() -> None:
    """`Anna Berg Order 12` is not all a name."""
    assert len("Anna Berg") == name_end("Anna Berg Order 12", 0)


def _known(value: str, entity: str = "PERSON", *, parts: bool = True) -> Known:
    known = Known(parts=parts)
    known.learn(value, [Finding(0, len(value), entity, 0.9, "test")])
    return known


@pytest.mark.parametrize(
    ("value", "entity", "text", "expected"),
    [
        ("Anna Berghof", "PERSON", "as berghof said", ["berghof"]),
        ("Anna Berghof", "PERSON", "BERGHOF'S", ["BERGHOF"]),
        ("Anna Berghof", "PERSON", "anna_berghof_cv.pdf", ["anna_berghof"]),
        ("Anna Berghof", "PERSON", "login aberghof42", ["aberghof"]),
        ("Anna Berghof", "PERSON", "feature/AnnaBerghofFix", ["AnnaBerghof"]),
        ("Jürgen Weiß", "PERSON", "jurgen.weiss", ["jurgen.weiss"]),
        ("Grace Price", "PERSON", "the price of grace", []),
        ("Grace Price", "PERSON", "ask Grace about it", ["Grace"]),
        ("anna.berghof@example.com", "EMAIL", "Hello Anna Berghof", ["Anna Berghof"]),
        ("123-45-6789", "NATIONAL_ID", "ssn_123456789", []),
        ("00123456", "MEDICAL_RECORD", "scan_mrn00123456.pdf", ["00123456"]),
        ("12/03/1980", "DATE_OF_BIRTH", "1980-03-12", ["1980-03-12"]),
        ("123", "PAYMENT_CARD", "123 items", []),
        ("admin", "PASSWORD", "the admin", []),
    ],
)
def test_a_value_is_found_again(value: str, entity: str, text: str, expected: list[str]) -> None:
    """In other cases, file names, handles; a word that is everybody's is not."""
    spans = sorted({(each.start, each.end) for each in _known(value, entity).spans(text)})
    outer = [(a, b) for a, b in spans if not any(c <= a and b <= d and (a, b) != (c, d) for c, d in spans)]
    assert expected == [text[a:b] for a, b in outer]


def test_throughout_a_run_only_whole_values_count() -> None:
    """A given name of one payload is another person's in the next."""
    assert [] == list(_known("Anna Berghof", parts=False).spans("Anna called"))
    assert [] != list(_known("Anna Berghof", parts=False).spans("ANNA BERGHOF called"))
