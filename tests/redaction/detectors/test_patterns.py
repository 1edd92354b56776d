"""What the pattern pass finds, and what it leaves alone."""

import pytest

from redaction.detectors.patterns import RULES, patterns
from redaction.findings import ENTITIES, merged

FOUND = [
    ("PAYMENT_CARD", "pay with 5105 1051 0510 5100 now", "5105 1051 0510 5100"),
    ("PAYMENT_CARD", "4111111111111111-2027-01", "4111111111111111"),
    ("PAYMENT_CARD", "deadbeef-4111111111111111", "4111111111111111"),
    ("IBAN", "to gb82west12345698765432 please", "gb82west12345698765432"),
    ("BANK_ACCOUNT", "sort code 12-34-56", "12-34-56"),
    ("BANK_ACCOUNT", "routing 021000021", "021000021"),
    ("NATIONAL_ID", "SSN: 123-45-6789", "123-45-6789"),
    ("NATIONAL_ID", "my social security number is 123456789", "123456789"),
    ("NATIONAL_ID", "AB 12 34 56 C is my NI number", "AB 12 34 56 C"),
    ("NATIONAL_ID", "Aadhaar 2341 2341 2346", "2341 2341 2346"),
    ("NATIONAL_ID", "CPF 529.982.247-25", "529.982.247-25"),
    ("PASSPORT", "passport no C01X00T47", "C01X00T47"),
    ("DATE_OF_BIRTH", "DOB 12/03/1980", "12/03/1980"),
    ("DATE_OF_BIRTH", "she was born on 3rd of March 1980", "3rd of March 1980"),
    ("EMAIL", "write to Bob.Smith+x@mail.example.co.uk.", "Bob.Smith+x@mail.example.co.uk"),
    ("EMAIL", "bob [at] example [dot] com", "bob [at] example [dot] com"),
    ("PHONE", "call +44 20 7946 0958", "+44 20 7946 0958"),
    ("PHONE", "(415) 555-2671", "(415) 555-2671"),
    ("PHONE", "ring me on 07700 900123", "07700 900123"),
    ("ADDRESS", "221B Baker Street, London NW1 6XE", "221B Baker Street, London NW1 6XE"),
    (
        "ADDRESS",
        "at 742 Evergreen Terrace, Springfield, OR 97403 today",
        "742 Evergreen Terrace, Springfield, OR 97403",
    ),
    ("IP_ADDRESS", "from 203.0.113.9 port 22", "203.0.113.9"),
    ("IP_ADDRESS", "host 2001:db8::8a2e:370:7334 up", "2001:db8::8a2e:370:7334"),
    ("MAC_ADDRESS", "00:1B:44:11:3A:B7", "00:1B:44:11:3A:B7"),
    ("LOCATION", "seen at 51.50735, -0.12776 twice", "51.50735, -0.12776"),
    ("MEDICAL_RECORD", "MRN: 00123456", "00123456"),
    ("MEDICAL_RECORD", "MRN00123456", "00123456"),
    ("MEDICAL_RECORD", "PID|1||00123456^^^MRN||DOE^JOHN||19800312|M|", "00123456"),
    ("PERSON", "PID|1||00123456^^^MRN||DOE^JOHN||19800312|M|", "DOE^JOHN"),
    ("DATE_OF_BIRTH", "PID|1||00123456^^^MRN||DOE^JOHN||19800312|M|", "19800312"),
    ("PAYMENT_CARD", "cvv: 123", "123"),
    (
        "API_KEY",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("HEALTH_ID", "NHS number 943 476 5919", "943 476 5919"),
    ("HEALTH_ID", "member ID: XYZ123456789", "XYZ123456789"),
    ("API_KEY", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("API_KEY", "api_key = 'zX81kq93hdhHsd82jdkq'", "zX81kq93hdhHsd82jdkq"),
    ("TOKEN", "ghp_" + "a1B2" * 9, "ghp_" + "a1B2" * 9),
    ("TOKEN", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
    ("TOKEN", "Authorization: Basic Ym9iOnNlY3JldA==", "Ym9iOnNlY3JldA=="),
    ("PASSWORD", "password: hunter2!", "hunter2!"),
    ("PASSWORD", "password: Strong#12", "Strong#12"),
    ("PASSWORD", "password=$ecret12", "$ecret12"),
    ("PASSWORD", "the password is correct-horse", "correct-horse"),
    ("CONNECTION_STRING", "postgres://u:p4ss@h:5432/x", "postgres://u:p4ss@h:5432/x"),
    ("CONNECTION_STRING", "Server=h;User Id=sa;Password=s3cr3t;", "s3cr3t"),
    ("PRIVATE_KEY", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\nMII\n-----END RSA PRIVATE KEY-----", ""),
    ("PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN", ""),
]

LEFT_ALONE = [
    "max_tokens: 4096, total_tokens: 123456789",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "phone of run_550e8400-e29b-41d4-a716-446655440000",
    "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "at 2024-01-02T03:04:05.678901Z, 1700000000, 1700000000000",
    "def get_user_token(self, key: str) -> Token: return self.tokens[key]",
    "for token in tokens: count_tokens(token, limit=100_000)",
    "version 3.11.7, python>=3.12,<3.14, 10.0.1",
    "pi is 3.14159265358979323846",
    "password = os.environ['PASSWORD']",
    "password=$DB_PASSWORD password: ${DB_PASSWORD} password: str",
    "forgot password? password reset",
    "order 88231 cost 250.00 on 2024-03-01",
    "127.0.0.1:8080 and ::1",
    "0x7ffee4b0c9a0 std::vector<int>::iterator",
    "[step 1 done] <b>bold</b>",
]


@pytest.mark.parametrize(("entity", "text", "value"), FOUND, ids=[f"{each[0]}-{each[1][:20]}" for each in FOUND])
def test_a_value_is_found_whole(entity: str, text: str, value: str) -> None:
    """What is found in part leaks the rest."""
    found = [(each.type, text[each.start : each.end]) for each in merged(patterns()(text))]
    assert (entity, value or text) in found


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_sensitive_is_left_alone(text: str) -> None:
    """A guard that breaks code and identifiers is switched off."""
    assert [] == [(each.type, text[each.start : each.end]) for each in merged(patterns()(text))]


def test_every_rule_names_an_entity_and_has_a_name_of_its_own() -> None:
    """Policies speak of entities, explanations of names."""
    assert {rule.entity for rule in RULES} <= set(ENTITIES)
    assert len(RULES) == len({rule.name for rule in RULES})
