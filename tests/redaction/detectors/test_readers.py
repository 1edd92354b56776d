"""Values that labels, columns, fields, titles and streets give away."""

import pytest

from redaction.detectors.patterns import patterns
from redaction.findings import ENTITIES, merged

FOUND = [
    ("PERSON", "Name: Anna Berg\nPhone: 555 0100 200", "Anna Berg"),
    ("PERSON", "first_name=Anna&last_name=Berg&n=3", "Berg"),
    ("PERSON", "<lastName>Berg</lastName>", "Berg"),
    ("PERSON", "{'first_name': 'Anna', 'n': 3}", "Anna"),
    ("PERSON", "Patient: Berg, Anna\n", "Berg, Anna"),
    ("PERSON", "Dear Ms. Berg, thank you", "Berg"),
    ("PERSON", "my name is Anna Berg and", "Anna Berg"),
    ("PERSON", "Anna Berg <a.b@example.com>", "Anna Berg"),
    ("PERSON", "FN:Anna Berg\nN:Berg;Anna", "Anna Berg"),
    ("PERSON", "passenger BERG/ANNA MRS", "BERG/ANNA MRS"),
    ("PERSON", "id,first_name,last_name\n1,Anna,Berg\n", "Berg"),
    ("PERSON", "| Employee | Unit |\n| --- | --- |\n| Anna Berg | 3 |", "Anna Berg"),
    ("DATE_OF_BIRTH", "mrn\tdob\n7712\t1980-03-12", "1980-03-12"),
    ("PHONE", 'a;phone;"note; two"\n1;0151 23456789;x', "0151 23456789"),
    ("NATIONAL_ID", "INSERT INTO p (id, ssn, n) VALUES (1, '219099999', 2), (2, '219099998', 3)", "219099998"),
    ("PASSWORD", "INSERT INTO users(login,password) VALUES('bob','hunter22')", "hunter22"),
    ("MEDICAL_RECORD", "PID|1||8812345^^^H^MR||BERG^ANNA||19800312|F", "8812345"),
    ("PERSON", "NK1|1|BERG^OTTO|SPO", "BERG^OTTO"),
    ("PERSON", "PV1|1|I|W^389||||004777^CARE^ADAM", "CARE^ADAM"),
    ("ADDRESS", "at 463 Kevin Falls Apt. 531 today", "463 Kevin Falls Apt. 531"),
    ("ADDRESS", "10 Downing Street, London SW1A 2AA", "10 Downing Street, London SW1A 2AA"),
    ("ADDRESS", "Ansgar-Mude-Straße 5, 10115 Berlin", "Ansgar-Mude-Straße 5, 10115 Berlin"),
    ("ADDRESS", "12 rue de la Paix, 75002 Paris", "12 rue de la Paix, 75002 Paris"),
    ("ADDRESS", "Via Garibaldi 12, 00153 Roma", "Via Garibaldi 12, 00153 Roma"),
    ("ADDRESS", "Calle de Alcalá, 5", "Calle de Alcalá, 5"),
    ("ADDRESS", "Keizersgracht 12, 1015 CN Amsterdam", "Keizersgracht 12, 1015 CN Amsterdam"),
    ("TOKEN", "Cookie: theme=dark; sid=8f14e45fceea167a", "8f14e45fceea167a"),
    ("PASSWORD", "mysql -h db -u root -p hunter22", "hunter22"),
    ("PASSWORD", "machine h login anna password hunter22", "hunter22"),
    ("PASSWORD", "la contraseña es: Hunter22!", "Hunter22!"),
    ("PASSWORD", "the password for admin is Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("PASSWORD", "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW", ""),
    ("PRIVATE_KEY", "MIIEpAIBAAKC\nAQEA7bq0\n-----END RSA PRIVATE KEY-----", ""),
    ("LOCATION", "at 48°51'30.1\"N 2°17'40.1\"E", "48°51'30.1\"N 2°17'40.1\"E"),
    ("HEALTH_ID", "insurance Aetna W123456789", "W123456789"),
]
LEFT_ALONE = [
    "Cookie: theme=dark; lang=en-GB",
    "Name: Enterprise Plan",
    "From Users.Orders import all",
    "id,name,price\n1,Standing Desk,250.00\n",
    "INSERT INTO orders (id, sku) VALUES (1, 'ABC-1')",
    "OBX|1|NM|8867-4^Heart rate^LN||71|bpm|60-100|N|||F",
    "500 Internal Server Error, 3 Key Points, 24 Hour Center",
    "SELECT id, name, email, phone FROM users WHERE created_at > '2024-01-01'",
    "docker run -p 8080:80 nginx; kubectl get pods -w",
    "key: PROJ-123, primary key: id, the key idea",
    "password: input('Password: ')",
]


@pytest.mark.parametrize(("entity", "text", "value"), FOUND, ids=[each[1][:24] for each in FOUND])
def test_a_value_is_found_whole(entity: str, text: str, value: str) -> None:
    """By what stands before, above or around it."""
    found = [(each.type, text[each.start : each.end]) for each in merged(patterns()(text))]
    assert (entity, value or text) in found


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_only_looks_so_is_left_alone(text: str) -> None:
    """Tables, logs and programs are full of such."""
    assert [] == [(each.type, each.recogniser, text[each.start : each.end]) for each in merged(patterns()(text))]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("CODECOV_TOKEN: '96712256-e244-2437-0e5f-ba7f1a4ab230'", "96712256-e244-2437-0e5f-ba7f1a4ab230"),
        ("<add key='ApiSecret' value='vVNEa9erW6QxUPJWIHqWgfNc2lCq'/>", "vVNEa9erW6QxUPJWIHqWgfNc2lCq"),
        ("root:M6bh2JAXBi@10.0.0.3", "M6bh2JAXBi"),
        ("auth=('bob', 'p4ssw0rdX')", "p4ssw0rdX"),
        ("your one-time code is 839201", "839201"),
        ("https://29c13dca0bffb0d3afb24e2962901610@bugs.example", "29c13dca0bffb0d3afb24e2962901610"),
        ("dckr_pat_xV6H8KgYAd8cJD2ynrmIwUovp80", "dckr_pat_xV6H8KgYAd8cJD2ynrmIwUovp80"),
        ("the secret of staging: aB3dE5gH7jK9lM1nO3pQ5rS7", "aB3dE5gH7jK9lM1nO3pQ5rS7"),
    ],
)
def test_a_secret_is_found_whole(text: str, value: str) -> None:
    """In the forms that its users write, not only those of its issuer."""
    found = [each for each in merged(patterns()(text)) if ENTITIES[each.type] == "secret"]
    assert any(value in text[each.start : each.end] for each in found)
