"""What strangers send: other languages, other documents, other ways to hide. By patterns alone, value by value."""

import base64

import pytest

from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.segments import redact_payload
from runtime.domain.canonical import Json

KEY = b"a key for tests, 32 bytes long.."
CARD = "4485275742308327"
MAIL = "katarina.vogel@posteo.example"
PASSWORD = "Kestrel!2093x"


def _hex(text: str, before: str) -> str:
    return "".join(f"{before}{ord(char):02x}" for char in text)


HIDDEN: list[tuple[str, Json, str]] = [
    ("polish column", "Imię i nazwisko;Data urodzenia;Miasto\nOlaf Wesoła;05.06.1956;Łódź", "Olaf Wesoła"),
    ("polish column, birth", "Imię i nazwisko;Data urodzenia;Miasto\nOlaf Wesoła;05.06.1956;Łódź", "05.06.1956"),
    ("polish column, town", "Imię i nazwisko;Data urodzenia;Miasto\nOlaf Wesoła;05.06.1956;Łódź", "Łódź"),
    ("parts of a name", "nome,cognome,cap\nLuciano,Iannucci,56024", "Luciano"),
    ("postal code among people", "nome,cognome,cap\nLuciano,Iannucci,56024", "56024"),
    ("danish label", "Fødselsdato: 25-04-1964", "25-04-1964"),
    ("finnish key", {"henkilötunnus": "131052-308T"}, "131052-308T"),
    ("russian key", {"телефон": "9161234567"}, "9161234567"),
    ("chinese label", "我的电话是13812345678", "13812345678"),
    ("german birth", "Bitte das Konto (geb. 20.07.1995) schließen", "20.07.1995"),
    ("spanish birth", "nacida el 3 de marzo de 1984", "3 de marzo de 1984"),
    ("swedish id", "personnummer 811228-9874", "811228-9874"),
    ("czech id", "rodné číslo 780123/3540", "780123/3540"),
    ("swiss id alone", "756.9217.0769.85 gehört dazu", "756.9217.0769.85"),
    ("turkish id", "T.C. Kimlik No 10000000146", "10000000146"),
    ("polish passport", "Paszport: OO3553807", "OO3553807"),
    ("dutch number", "mijn nummer is 0954 180 218", "0954 180 218"),
    ("portuguese password", "senha: BVjRDYllMw7", "BVjRDYllMw7"),
    ("password further on", f"the root password for db7 is currently {PASSWORD}", PASSWORD),
    ("password in SQL", f"CREATE USER app IDENTIFIED BY '{PASSWORD}';", PASSWORD),
    ("password to sudo", f"echo '{PASSWORD}' | sudo -S reboot", PASSWORD),
    ("variable of a container", f'- name: DB_PASSWORD\n  value: "{PASSWORD}"', PASSWORD),
    ("secret of Kubernetes", "kind: Secret\ndata:\n  blob: cGVjdnJFSko1eEdkUzhS\n", "cGVjdnJFSko1eEdkUzhS"),
    ("signed address", f"https://b.example/x?X-Amz-Signature={'633a61cebbc06ee8' * 4}&v=1", "633a61cebbc06ee8" * 4),
    ("seed phrase", "seed phrase: " + "zebra amber " * 5 + "zebra amber", "zebra amber zebra"),
    ("polish address", "ul. Kossaka 914, 39-579 Środa", "Kossaka 914, 39-579 Środa"),
    ("czech address", "bytem Klecanská 1, 582 93 Kraslice", "Klecanská 1, 582 93 Kraslice"),
    ("told address", "Ship to 68674 Hoffman Fords, Port Allison, ME 91706.", "68674 Hoffman Fords"),
    ("payment party", ":59:/DE89370400440532013000\nDino Ditschlerin\nConradiallee 14\n:70:X", "Dino Ditschlerin"),
    ("address book", "ADR;TYPE=home:;;Chládkova 425;Blšany;;196 87;", "Chládkova 425"),
    ("speaker", "[09:43] Rolf Riehl: ok", "Rolf Riehl"),
    ("speakers", "10:15 Rolf Riehl: ok\n10:16 Marcin Tadeusiak: fine", "Marcin"),
    ("pass", f"DB_PASS is {PASSWORD}", PASSWORD),
    ("pass of something", f"the pass for staging is {PASSWORD}", PASSWORD),
    ("drawn behind words", "my_api_key_9f8Ab2Cd7Ef1Gh3Jk5Lm", "9f8Ab2Cd7Ef1Gh3Jk5Lm"),
    ("recovery words", "recovery words are " + "zebra amber " * 6, "zebra amber zebra"),
    ("seed alone", "seed: " + "zebra amber " * 6, "zebra amber zebra"),
    ("moved", "she moved to Oak House 5, London NW1 6XE", "London NW1 6XE"),
    ("year for a code", "Keizersgracht 3, 2024 Haarlem", "3, 2024 Haarlem"),
    ("short street and town", "Str. Bem 12, 500035 Cluj", "Bem 12, 500035 Cluj"),
    ("rg", "RG 12.345.678-9", "12.345.678-9"),
    ("sin", "my SIN 123 456 789", "123 456 789"),
    ("otp", "OTP: 482910", "482910"),
    ("letter", "\\signature{Marcin Tadeusiak}", "Marcin Tadeusiak"),
    ("rich text", "{\\rtf1\\ansi Claimant: \\b Tibor Otto\\b0\\par Phone: 01788 29996\\par}", "Tibor Otto"),
    (
        "table of SQL",
        "CREATE TABLE p (id int, surname text);\nINSERT INTO p VALUES (7, 'Wesoła'),\n(8, 'Rädel');",
        "Rädel",
    ),
    ("XML of payments", "<Nm>Karel Liška</Nm><IBAN>DE89370400440532013000</IBAN><TwnNm>Hrádek</TwnNm>", "Hrádek"),
    (
        "lines for machines",
        "P<D<<VOGEL<<KATARINA" + "<" * 24 + "\nC01X00T478D<<8403145F2702283" + "<" * 15,
        "C01X00T478D",
    ),
    ("dump of PostgreSQL", "COPY m (id, last_name, birth_dt) FROM stdin;\n7\tBoban\t1936-12-02\n\\.", "Boban"),
    (
        "columns apart",
        "ID    NAME             PHONE         STATE\nC4    Jani Blatnik     01 7350 034   OK",
        "01 7350 034",
    ),
    ("cells of HTML", "<tr><th>Data de nasc.</th><th>Nr</th></tr><tr><td>03-10-2008</td><td>7</td></tr>", "03-10-2008"),
    ("row of HTML", "<tr><td>Niyaga Budiyanto</td><td><a href='mailto:k@x.example'>m</a></td></tr>", "Niyaga"),
    ("EDIFACT", "NAD+BY+++Margit Farkas+Kecskeméti tér 118+Érd++8831'CTA+OC+:Attila Szabó'", "Attila Szabó"),
    ("DICOM", "(0010,0010) PN [Knez^Tatjana] # PatientName", "Tatjana"),
    ("clinical document", '<patientRole><id extension="332531471" root="2.16"/></patientRole>', "332531471"),
    ("default of Terraform", f'variable "db_password" {{\n  default = "{PASSWORD}"\n}}', PASSWORD),
    ("statement", ":86:166?00X?31DE89370400440532013000?32Darimin Astuti", "Darimin Astuti"),
    ("flag", 'New-LocalUser -FullName "Lara Pieber"', "Lara Pieber"),
    ("number beside a mail", "Helene\n44130357 | tp@hot.example", "44130357"),
    ("numbered kind", {"scheme": "EMŠO", "number": "1808981507151"}, "1808981507151"),
    ("hungarian birth", "született 2007. 05. 29., Győr", "2007. 05. 29"),
    ("portuguese town", "residente em Rua Baptista, 35, 4517-307 Trancoso", "307 Trancoso"),
    ("croatian account", "broj računa: 659994690", "659994690"),
    ("octal", "".join(f"\\{ord(char):03o}" for char in MAIL), "\\153\\141\\164"),
    ("bytes", ", ".join(f"0x{ord(char):02x}" for char in MAIL), "0x6b, 0x61"),
    ("long escapes", _hex(MAIL, "\\U000000"), "\\U0000006b"),
    ("escapes in braces", "".join(f"\\u{{{ord(char):x}}}" for char in MAIL), "\\u{6b}"),
    ("quoted-printable", _hex(MAIL, "=").upper(), "=6B=61"),
    ("entities without an end", "".join(f"&#{ord(char)}" for char in MAIL), "&#107&#97"),
    ("small Base32", base64.b32encode(f"card {CARD}".encode()).decode().lower(), "mnqxezba"),
    ("Base64 in groups", "Y2Fy ZCA0 NDg1 Mjc1 NzQy MzA4 MzI3", "NDg1 Mjc1"),
    ("path of a picture", f"![x](https://h.example/{base64.b64encode(MAIL.encode()).decode()}.png)", "a2F0YXJpbmE"),
    (
        "french digits",
        "quatre quatre huit cinq deux sept cinq sept quatre deux trois zéro huit trois deux sept",
        "huit trois",
    ),
    ("digits and words", "card four four eight five 2757 four two three zero 8327", "2757 four"),
    ("letters for digits", "card number 448S27S7423O8327", "448S27S7423O8327"),
    ("pictures between", "card " + "🙂".join(CARD), "🙂".join(CARD)),
    ("filler between", "\u3164".join(CARD), "\u3164".join(CARD)),
    ("at in another word", "katarina.vogel(ät)posteo.de", "katarina.vogel"),
    ("at and dot abroad", "katarina punto vogel arroba posteo punto de", "posteo"),
    ("pasted key", '"ghp_aB3dE5gH7jK9lM1nO" +\n  "3pQ5rS7tU9vW1xY3z0Kq"', "3pQ5rS7tU9vW1xY3z0Kq"),
    ("italian title", "si è presentato il sig. Bonfanti, nato il", "Bonfanti"),
    ("czech title", "Ošetřující lékař: MUDr. Kopecká", "Kopecká"),
    ("swedish title", "uppger att fru Ekdahl hotat henne", "Ekdahl"),
    ("dutch end of a letter", "Met vriendelijke groet,\nHilde ten Cate", "Hilde ten Cate"),
    ("finnish end of a letter", "Ystävällisin terveisin\nRitva Salonen", "Ritva Salonen"),
    ("polish greeting", "Cześć Bożena Wilk, jak się masz?", "Bożena Wilk"),
    ("swedish part", "Målsägande Rut Ekdahl hördes", "Rut Ekdahl"),
    ("german header", "An: Hilde Mertesacker\nDatum: heute", "Hilde Mertesacker"),
    ("turkish capital with a dot", "İlker için kimlik no 10000000146", "10000000146"),
    ("label with its own word for number", "id;Personalausweis Nr.\n7;P1M623XV27", "P1M623XV27"),
    ("label apart by dots", "Telemóvel ........ 917 098 141", "917 098 141"),
    ("spaced trunk", "Durchwahl 089 - 26998937", "089 - 26998937"),
    ("trunk alone", "(030) 581 47 61", "(030) 581 47 61"),
    ("double name with marks", "NAD+BY+++Zoë Vandenberghe-Ott+Ring 2'CTA+PD+:X'", "Vandenberghe-Ott"),
    ("short cue of a longer word", "SV-Nummer 5360 120981", "5360 120981"),
    ("singapore", "NRIC S9269473I", "S9269473I"),
    ("lithuanian birth", "gimė 1984-01-15", "1984-01-15"),
    ("vietnamese birth", "Ngày sinh: 09/07/1987", "09/07/1987"),
    ("born, with a mark at the end", "soins pour Anne-Cécile Dumortier, né le 3 mai", "Dumortier"),
    ("told name", "Hola, soy Mirta Echegaray", "Mirta Echegaray"),
    ("polish tax number", "faktura dla 265-382-89-69", "265-382-89-69"),
    ("brazilian PIS", "PIS 177.09145.34-3", "177.09145.34-3"),
    ("parts of a card", {"part1": "4485", "part2": "2757", "part3": "4230", "part4": "8327"}, "2757"),
]
HARMLESS: list[Json] = [
    "it may run at any point of the day, at some point in May",
    "call_33352554 was cut short",
    '- - [2024-04-30T02:14:27Z] "GET /account HTTP/1.1" 200',
    {"type": "token", "number": "12"},
    "LIN+1++4006381333931:EN",
    "firmware 1.2.3.4 build 20250314.2",
    "call_9aBcDeFgHiJkLmNoPqRs12",
    "Via: 1.1 varnish",
    "phone line of policy ORD-4231398",
    {"region": "us-west-2", "name": "ledger-sync", "state": "active", "by": "scheduler"},
    {"city": "Lisbon", "forecast": "sunny"},
    "see section 7.2.1 of RFC 7231, table 4, 2019 report",
    "DATA_FLAG=on\nAPP_ENV=production\nAPP_PORT=8443",
    {"part1": "1200", "part2": "800", "part3": "35"},
    "matrix @ vector . transpose()",
    "def token_refresh_interval(key: str) -> int: return 30",
    "All tests pass on Python3.12",
    "all tests pass when upgraded to Python3.12",
    "bypass on Server2",
    "enclave = Nitro2",
    "test_auth_flow_returnsTokenForUserId42And7",
    "s3_key_ProductImageThumb128x128Large",
    "the secret is that you should never have more than one thing done here today",
    "moved to Kubernetes 1.29, 12 nodes",
    "send to Queue 5, 10000 messages",
    "Python 3, 2024 Survey",
    "Sprint 14, 2024 Planning",
    "Str. Length 12",
    "Bd. Rate 9600",
    "Alto Voltage 220",
    "rg 12345678 foo.py",
    "sin(123 456 789)",
    "OTP 4000 rpm",
    "        return conn, addr\n\n    def bind(self, host):\n        self.host = host\n        raise OSError",
    "        addr, mask = self.split(address)\n        count += len(rest), 7\n        return total, 9",
    "    'pass',\n    'raise',\n    'return',\n",
    "address      # big endian",
    "Weg 12 km",
    "An: Einkauf Süd",
    "Von: Vertrieb Nord",
    "10.0.0.0/8 and 192.168.0.0/16 are private",
    "mask 255.255.255.0",
    "group ff02::1",
    "FIR 0114/2024",
    "e = 2.718281828459045",
    "Betrag 1.250,00 EUR, Verwendungszweck RE 7",
    "10:15 Spring Boot: started",
    {"id": 448, "amount": 527574, "count": 2308, "year": 327},
]


@pytest.mark.parametrize(("payload", "hidden"), [each[1:] for each in HIDDEN], ids=[each[0] for each in HIDDEN])
def test_what_strangers_write_is_found(payload: Json, hidden: str) -> None:
    """A guard that knows one country's forms lets the others' out."""
    redacted = redact_payload(Redactor(PRESETS["default"].patterns_only(), KEY), payload)
    assert hidden not in str(redacted.payload)


@pytest.mark.parametrize("payload", HARMLESS, ids=str)
def test_what_only_looks_like_it_stays(payload: Json) -> None:
    """Each word that a language adds is a word that another uses for something else."""
    assert payload == redact_payload(Redactor(PRESETS["default"].patterns_only(), KEY), payload).payload
