"""One-time codes, PINs, backup codes, recovery phrases, and passwords in commands; by patterns alone."""

import pytest

from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.segments import redact_payload

KEY = b"a key for tests, 32 bytes long.."
PHRASE = "zebra amber tunnel velvet orchard magnet ladder pencil harbor wisdom copper lantern"
HIDDEN = [
    ("OTP 204417", "204417"),
    ("204417 is your Parcelia code. Don't share it.", "204417"),
    ("G-204417 is your Google verification code.", "204417"),
    ("Use code 204417 to sign in", "204417"),
    ("Enter 204 417 to verify your phone", "204 417"),
    ("Ihr Bestätigungscode lautet 204417", "204417"),
    ("mTAN 204417 für Überweisung", "204417"),
    ("Votre code de vérification est 204417", "204417"),
    ("Su código de verificación es 204417", "204417"),
    ("Il tuo codice di verifica è 204417", "204417"),
    ("Uw verificatiecode is 204417", "204417"),
    ("Twój kod weryfikacyjny to 204417", "204417"),
    ("Váš ověřovací kód je 204417", "204417"),
    ("Din verifieringskod är 204417", "204417"),
    ("Vahvistuskoodisi on 204417", "204417"),
    ("Doğrulama kodunuz: 204417", "204417"),
    ("Codul de verificare este 204417", "204417"),
    ("Az ellenőrző kód 204417", "204417"),
    ("the door code is 4417", "4417"),
    ("Die PIN lautet 4417", "4417"),
    ("Backup codes: 4417-2093 8821-0077", "8821-0077"),
    ("Wiederherstellungscode: 4417-2093", "4417-2093"),
    ("Security question: first pet? Answer: Nimbus", "Nimbus"),
    (f"the wallet:\n{PHRASE}\nkeep it", PHRASE),
    ("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"),
    ("api.telegram.org/bot7031858825:AAkGTc1erEO3cK2MOIfa3bngxdrUIqEMXUA/getMe", "AAkGTc1erEO3cK2MOIfa3bngxdrUIqEMXUA"),
    ("https://x.example/login?magic=waQlOPunWyo4rbASfB8XwOlHWypERqRq", "waQlOPunWyo4rbASfB8XwOlHWypERqRq"),
    ("https://x.example/password/reset/waQlOPunWyo4rbASfB8XwOlH", "waQlOPunWyo4rbASfB8XwOlH"),
    ("Private-Lines: 1\nQj8OrlcNgHmoNe6tPiAfthOgjZFW9L4k\nPrivate-MAC: 0", "Qj8OrlcNgHmoNe6t"),
    ("sqlplus system/Tsubame88@ORCL", "Tsubame88"),
    ("smbclient //fs/share -U svc%Tsubame88", "Tsubame88"),
    ("zip -P Tsubame88 a.zip f", "Tsubame88"),
    ("7z x a.7z -pTsubame88", "Tsubame88"),
    ("htpasswd -b .htpasswd bob Tsubame88", "Tsubame88"),
    ("useradd -m -p Tsubame88 bob", "Tsubame88"),
    ("mosquitto_pub -u dev -P Tsubame88 -t x", "Tsubame88"),
    ("export TOKEN=Tsubame88x99", "Tsubame88x99"),
    ("JWT_SECRET=DthVvcjGyBsawjfCi", "DthVvcjGyBsawjfCi"),
    ('master_password      = "Tsubame88"', "Tsubame88"),
    ("snmp-server community Tsubame88 RO", "Tsubame88"),
    ("enable secret 0 Tsubame88", "Tsubame88"),
    ("username admin privilege 15 password 0 Tsubame88", "Tsubame88"),
    ("tacacs-server key Tsubame88", "Tsubame88"),
    ("<AdministratorPassword><Value>Tsubame88</Value></AdministratorPassword>", "Tsubame88"),
    ('new NetworkCredential("svc", "Tsubame88")', "Tsubame88"),
    ("creds: admin / tsubame88", "tsubame88"),
    ("Passwort für den Server: tsubame88", "tsubame88"),
    ("WLAN-Schlüssel: tsubame-flug", "tsubame-flug"),
    ("clave de acceso: tsubame88", "tsubame88"),
    ("Lösenordet är tsubame88", "tsubame88"),
    ("Şifreniz tsubame88", "tsubame88"),
    ("Ihr Code für die Anmeldung: 204417", "204417"),
    ("Váš kód je 204417", "204417"),
    ("Twoje hasło jednorazowe: 204417", "204417"),
    ("iTAN 12: 204417", "204417"),
    ("Code 204417: confirm your payment", "204417"),
    ("the safe combination is 4417", "4417"),
    ("Geheimzahl: 4417", "4417"),
    ("pin code for the bike shed is 4417", "4417"),
    ("parool: tsubame-88", "tsubame-88"),
    ("mật khẩu: tsubame-88", "tsubame-88"),
    ("use root/tsubame88 for now", "tsubame88"),
    ("Authorization: SSWS 00oouDbtpiWwIJFeJENozCPqTkWSHzpjMLhtiE4c8b", "00oouDbtpiWwIJFeJENozCPqTkWSHzpjMLhtiE4c8b"),
    ("https://chat.example/hooks/ijdm6u7z7xpaulxypolonvawkw", "ijdm6u7z7xpaulxypolonvawkw"),
    ("https://n8n.example/webhook/9caf0be5-501b-d94c-6076-49f6f1a5a529", "9caf0be5-501b-d94c-6076-49f6f1a5a529"),
    ("keytool -storepass Tsubame88 -list", "Tsubame88"),
    ("echo -n Tsubame88 | docker login --password-stdin", "Tsubame88"),
    ("net user bob Tsubame88 /add", "Tsubame88"),
    ("define('DB_PASSWORD', 'Tsubame88');", "Tsubame88"),
    ('private static final String SECRET = "dX2d39MaWW1P0G";', "dX2d39MaWW1P0G"),
    ("app.secret_key = b'd1IkWi521z1sWq'", "d1IkWi521z1sWq"),
    ("snmp-server user u g v3 auth sha Tsubame88 priv aes 128 x", "Tsubame88"),
    ("key (base85): A$!}`JEn8Q|34pK!MMKFCtlMN^Vw@(Oq;bp8fh=+", "A$!}`JEn8Q|34pK!MMKFCtlMN^Vw@(Oq;bp8fh=+"),
]
HARMLESS = [
    "OTP delivery delayed 3000 ms",
    "OTP 4000 rpm",
    "verification code expires after 3000 seconds",
    "code 4210 means success",
    "error code 40401",
    "status code 5000 is the default",
    "product code 204417",
    "PIN pad broken",
    "GPIO pin 17 is high",
    "use 204417 as seed",
    "the recovery plan of 2024 is done",
    "tags: python rust golang java ruby scala",
    "zip -r a.zip folder",
    "7z x archive.7z -oout",
    "username must be 8 characters",
    "enable secret rotation",
    "community edition RO mode",
    'client.login("bob", password)',
    "passwords for the staging servers: rotated",
    "login: see docs / guide",
    "https://x.example/join/the-annual-developer-conference",
    "https://x.example/video?t=120",
    "invitations/list/all",
    "https://docs.example/webhooks/getting-started-2024",
    "fail/retry2 and admin/users2/list",
    "combination of 3000 parts",
    "your code review of 3000 lines",
]


@pytest.mark.parametrize(("text", "hidden"), HIDDEN, ids=[each[0][:40] for each in HIDDEN])
def test_what_opens_something_is_found(text: str, hidden: str) -> None:
    """A code is a short number; only what is said of it tells."""
    assert hidden in text
    assert hidden not in Redactor(PRESETS["default"].patterns_only(), KEY).redact(text).text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_opens_nothing_stays(text: str) -> None:
    """Most short numbers, and most words about codes, are harmless."""
    assert text == Redactor(PRESETS["default"].patterns_only(), KEY).redact(text).text


def test_the_private_part_of_a_key_in_json_is_found() -> None:
    """RFC 7517: its name is one letter, and what it is stands in `kty` beside it."""
    key = "SWM4a9IUCvTmmUXhjMq2TE8B72ycapsNVtpSYPrL66V"
    redacted = redact_payload(Redactor(PRESETS["default"].patterns_only(), KEY), {"kty": "oct", "k": key})
    assert key not in str(redacted.payload)
