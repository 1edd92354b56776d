"""What a made-up payload is about: a person, their numbers, and things that only look like them.

A template asks for a value and puts it into its text; what it asked for is on record, to be looked for afterwards.
"""

import random
import string
from collections.abc import Callable
from datetime import date, datetime, timedelta

import msgspec
from faker import Faker

from redaction.detectors.finance import iban
from runtime.domain.canonical import Json

LOCALES = (
    "en_US", "en_US", "en_US", "en_GB", "en_GB", "en_CA", "en_AU", "en_IN", "en_IE", "de_DE", "fr_FR", "es_ES", "it_IT",
    "nl_NL",
)  # fmt: skip
"""The language model reads English, so most people are from where it is spoken."""
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_PROSE_CHARS = 2_000
_CARDS = ("visa16", "visa16", "mastercard", "amex", "discover", "visa19", "jcb")


class Gold(msgspec.Struct, frozen=True):
    """A value that may not be in what goes out."""

    type: str
    value: str
    is_secret: bool = False


class Example(msgspec.Struct, frozen=True):
    """One payload, with what is in it."""

    id: str
    family: str
    """The template that made it."""
    payload: Json
    sensitive: tuple[Gold, ...]
    harmless: tuple[str, ...]


class Facts:
    """Values for one payload, on record."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        locale = self.chance.choice(LOCALES)
        self.fake = Faker(locale)
        self.fake.seed_instance(seed)
        self.english = Faker("en_US")
        self.english.seed_instance(seed + 1)
        self.country = locale[-2:]
        self.first, self.last = self.fake.first_name(), self.fake.last_name()
        self.born = date(1937, 1, 1) + timedelta(days=self.chance.randrange(68 * 365))
        self.sensitive: list[Gold] = []
        self.harmless: list[str] = []

    def pick(self, *options: str) -> str:
        """One of the options."""
        return self.chance.choice(options)

    def gold(self, entity: str, value: str) -> str:
        """A value that must go."""
        self.sensitive.append(Gold(entity, value))
        return value

    def secret(self, entity: str, value: str) -> str:
        """A secret, which must go above all."""
        self.sensitive.append(Gold(entity, value, True))
        return value

    def keep(self, value: str) -> str:
        """A value that must stay."""
        self.harmless.append(value)
        return value

    # people

    def name(self) -> str:
        """The person, as names are mostly written."""
        return self.gold("PERSON", f"{self.first} {self.last}")

    def other_name(self) -> str:
        """Somebody else."""
        return self.gold("PERSON", f"{self.fake.first_name()} {self.fake.last_name()}")

    def given(self) -> str:
        """The given name alone."""
        return self.gold("PERSON", self.first)

    def family(self) -> str:
        """The family name alone."""
        return self.gold("PERSON", self.last)

    def listed_name(self) -> str:
        """As lists have it: the family name first, at times in capitals."""
        last = self.last.upper() if self.chance.random() < 0.5 else self.last
        return self.gold("PERSON", f"{last}, {self.first}")

    def birth(self) -> str:
        """A date of birth in one of the usual forms."""
        month, year = self.born.month, self.born.year
        short = f"{_MONTHS[month - 1][:3]} {self.born.day}, {year}"
        forms = (
            self.born.isoformat(), f"{month:02}/{self.born.day:02}/{year}", f"{self.born.day:02}.{month:02}.{year}",
            f"{self.born.day} {_MONTHS[month - 1]} {year}", f"{_MONTHS[month - 1]} {self.born.day}, {year}", short,
        )  # fmt: skip
        return self.gold("DATE_OF_BIRTH", self.pick(*forms))

    def birth_compact(self) -> str:
        """As HL7 writes it."""
        return self.gold("DATE_OF_BIRTH", self.born.strftime("%Y%m%d"))

    # contact

    def email(self) -> str:
        """An address that holds the name, or one that does not."""
        plain = "".join(char for char in f"{self.first}.{self.last}".lower() if char.isascii() and char in _LOCAL)
        local = self.pick(plain.strip("."), self.english.user_name(), f"{plain[:1]}{self.chance.randrange(100)}")
        domain = self.pick("example.com", "example.org", "mail.example.co.uk", self.english.domain_name(), "gmail.com")
        return self.gold("EMAIL", f"{local}@{domain}")

    def phone(self) -> str:
        """A number as people of the country write it, without an extension."""
        number = self.fake.phone_number().split("x")[0].strip()
        while sum(char.isdigit() for char in number) < 8:
            number = self.fake.phone_number().split("x")[0].strip()
        return self.gold("PHONE", number)

    def street(self) -> str:
        """Street and number."""
        return self.gold("ADDRESS", self.fake.street_address().replace("\n", ", "))

    def address(self) -> str:
        """A whole address on one line."""
        return self.gold("ADDRESS", self.fake.address().replace("\n", ", "))

    def postcode(self) -> str:
        """A postal code."""
        return self.gold("ADDRESS", self.fake.postcode())

    def ip(self) -> str:
        """An address of a machine at home."""
        return self.gold("IP_ADDRESS", self.fake.ipv4_public() if self.chance.random() < 0.8 else self.fake.ipv6())

    def mac(self) -> str:
        """The address of a network card."""
        return self.gold("MAC_ADDRESS", self.fake.mac_address())

    def place(self) -> str:
        """Coordinates."""
        latitude, longitude = self.chance.uniform(-60, 60), self.chance.uniform(-170, 170)
        return self.gold("LOCATION", f"{latitude:.5f}, {longitude:.5f}")

    # money

    def card(self) -> str:
        """A payment card, with or without gaps."""
        number = self.fake.credit_card_number(self.pick(*_CARDS))
        gap = self.pick("", " ", "-", " ")
        return self.gold("PAYMENT_CARD", gap.join(number[at : at + 4] for at in range(0, len(number), 4)))

    def card_number(self) -> int:
        """A payment card as a number of JSON."""
        return int(self.gold("PAYMENT_CARD", self.fake.credit_card_number("mastercard")))

    def iban(self) -> str:
        """A bank account of the country, else of Germany."""
        number = self.fake.iban() if self.country in ("GB", "DE", "FR", "ES", "IT", "NL", "IE") else _german_iban(self)
        if self.chance.random() < 0.4:
            number = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
        return self.gold("IBAN", number)

    def account(self) -> str:
        """An account number without a form."""
        return self.gold("BANK_ACCOUNT", self.digits(self.chance.choice((8, 9, 10, 12))))

    def sort_code(self) -> str:
        """A British sort code."""
        return self.gold("BANK_ACCOUNT", "-".join((self.digits(2), self.digits(2), self.digits(2))))

    # identity and health

    def national(self) -> tuple[str, str]:
        """What a national number is called, and the number."""
        forms: dict[str, Callable[[], tuple[str, str]]] = {
            "GB": lambda: (self.pick("NI number", "National Insurance number", "NINO"), self._nino()),
            "IN": lambda: ("Aadhaar", self._grouped(self.fake.aadhaar_id())),
            "CA": lambda: ("SIN", self.fake.ssn()),
            "ES": lambda: ("DNI", self.fake.nif()),
            "IT": lambda: ("codice fiscale", self.fake.ssn()),
        }
        label, number = forms.get(self.country, lambda: (self.pick("SSN", "social security number"), self._ssn()))()
        return label, self.gold("NATIONAL_ID", number)

    def passport(self) -> str:
        """A passport number."""
        number = self.pick(self.digits(9), f"{self.letters(1)}{self.digits(8)}", f"{self.letters(2)}{self.digits(7)}")
        return self.gold("PASSPORT", number)

    def record(self) -> str:
        """A medical record number."""
        prefix = self.pick("", "", "", "M", "H-", "A")
        return self.gold("MEDICAL_RECORD", f"{prefix}{self.digits(self.chance.randrange(6, 10))}")

    def member(self) -> str:
        """The number of a member of a health plan."""
        forms = (
            f"{self.letters(3)}{self.digits(9)}",
            f"{self.letters(1)}{self.digits(8)}-{self.digits(2)}",
            self.digits(10),
        )
        return self.gold("HEALTH_ID", self.pick(*forms))

    # secrets

    def password(self) -> str:
        """What people or generators choose."""
        forms = (self.english.password(self.chance.randrange(9, 18)), f"{self.english.word()}{self.digits(4)}!",
                 f"{self.english.word().title()}-{self.english.word()}-{self.digits(2)}")  # fmt: skip
        chosen = self.pick(*forms)
        return self.secret("PASSWORD", "".join(char if char not in "\"'<>&,;@/:%# `\\" else "x" for char in chosen))

    def key(self) -> str:
        """A key of a known issuer."""
        forms = (
            "AKIA" + self._drawn(16, string.ascii_uppercase + "234567"),
            "ghp_" + self._drawn(36), "sk_live_" + self._drawn(24), "xoxb-" + self.digits(12) + "-" + self._drawn(24),
            "AIza" + self._drawn(35), "sk-proj-" + self._drawn(48), "glpat-" + self._drawn(20),
            "npm_" + self._drawn(36),
        )  # fmt: skip
        return self.secret("API_KEY", self.pick(*forms))

    def drawn(self, length: int = 0) -> str:
        """A key of no known issuer."""
        return self.secret("API_KEY", self._drawn(length or self.chance.choice((24, 32, 40, 48))))

    def jwt(self) -> str:
        """A token with three parts."""
        return self.secret("TOKEN", f"eyJhbGciOiJIUzI1NiJ9.eyJ{self._drawn(60)}.{self._drawn(43)}")

    def session(self) -> str:
        """The value of a cookie."""
        return self.secret("TOKEN", self._drawn(self.chance.choice((26, 32, 40))))

    # what must stay

    def uuid(self) -> str:
        """An identifier of a thing."""
        return self.keep(str(self.english.uuid4()))

    def sha(self) -> str:
        """The hash of a commit or a file."""
        return self.keep(self._drawn(self.chance.choice((40, 64)), "0123456789abcdef"))

    def order(self) -> str:
        """The number of an order, a ticket or an invoice."""
        year = self.chance.randrange(2019, 2026)
        return self.keep(
            self.pick(
                self.digits(5), f"ORD-{self.digits(6)}", f"INV-{year}-{self.digits(4)}", f"TCK-{self.digits(5)}",
                f"#{self.digits(6)}", f"PO{self.digits(7)}", f"CASE-{self.digits(4)}",
            )
        )  # fmt: skip

    def sku(self) -> str:
        """An article."""
        return self.keep(self.pick(f"{self.letters(3)}-{self.digits(4)}-{self.letters(1)}", f"SKU{self.digits(6)}"))

    def version(self) -> str:
        """A version of a program."""
        parts = [str(self.chance.randrange(20)) for _ in range(3)]
        return self.keep(self.pick("", "v") + ".".join(parts))

    def moment(self) -> str:
        """A time stamp of the last years."""
        at = datetime(2022, 1, 1) + timedelta(seconds=self.chance.randrange(3 * 365 * 86_400))
        form = self.pick("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%d/%b/%Y:%H:%M:%S +0000")
        return self.keep(at.strftime(form))

    def price(self) -> str:
        """An amount."""
        return self.keep(self.pick("${}", "{} EUR", "{}", "£{}").format(f"{self.chance.uniform(1, 5000):.2f}"))

    def product(self) -> str:
        """Something that is sold or run, and is nobody."""
        return self.keep(self.pick(*_PRODUCTS))

    def weekday(self) -> str:
        """A day."""
        return self.keep(self.pick("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))

    def error(self) -> str:
        """A code of an error."""
        return self.keep(self.pick("ERR_CONNECTION_RESET", "E1042", "HTTP 503", "ORA-00942", "ENOENT", "SQLSTATE 42P01",
                                   "0x80070005", "CrashLoopBackOff", "ECONNREFUSED"))  # fmt: skip

    def code(self) -> str:
        """A name out of a program."""
        return self.keep(self.pick(*_CODE))

    def url(self) -> str:
        """A public page."""
        return self.keep(self.pick(*_URLS))

    def word(self) -> str:
        """A word of prose."""
        return self.keep(self.pick(*_WORDS))

    def digits(self, count: int) -> str:
        """Digits, the first of them not zero."""
        return str(self.chance.randrange(1, 10)) + "".join(self.chance.choices("0123456789", k=count - 1))

    def letters(self, count: int) -> str:
        """Capitals."""
        return self._drawn(count, string.ascii_uppercase)

    def _drawn(self, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self.chance.choices(alphabet, k=count))

    def _ssn(self) -> str:
        return self.pick("{}-{}-{}", "{}-{}-{}", "{} {} {}", "{}{}{}").format(
            self.chance.choice(("123", "219", "457", "501", "664", "078")), self.digits(2), self.digits(4)
        )

    def _nino(self) -> str:
        form = self.pick("{}{} {} {} {}", "{}{}{}{}{}").replace("{}{} ", "{} ").replace("{}{}{}{}{}", "{}{}{}{}{}")
        parts = (self.pick("AB", "CE", "JK", "SH"), self.digits(2), self.digits(2), self.digits(2), self.pick(*"ABCD"))
        return form.format(*parts) if form.count("{}") == 5 else " ".join(parts)

    def _grouped(self, number: str) -> str:
        return " ".join(number[at : at + 4] for at in range(0, 12, 4)) if self.chance.random() < 0.7 else number


def prose(seed: int) -> str:
    """2,000 characters of sentences that are like no others, with people in them."""
    facts = Facts(seed)
    text = ""
    while len(text) < _PROSE_CHARS:
        text += f"{facts.english.paragraph(nb_sentences=3)} {facts.name()} wrote to {facts.other_name()} about it. "
    return text[:_PROSE_CHARS]


def _german_iban(facts: Facts) -> str:
    body = facts.digits(18)
    check = next(check for check in range(2, 99) if iban(f"DE{check:02}{body}"))
    return f"DE{check:02}{body}"


_LOCAL = string.ascii_lowercase + "."
_PRODUCTS = (
    "PostgreSQL", "Kubernetes", "Visual Studio Code", "Salesforce", "Windows Server", "Excel", "Photoshop", "Jenkins",
    "Elasticsearch", "ThinkPad X1 Carbon", "Galaxy S24", "Bluetooth headset", "standing desk", "MacBook Pro", "Redis",
    "GitHub Actions", "Power BI", "Apache Kafka", "JavaScript", "Ubuntu", "Python", "Docker", "Jira", "Slack",
)  # fmt: skip
_CODE = (
    "max_tokens", "total_tokens", "prompt_tokens", "getUserById", "parse_response", "HttpClient", "retry_count",
    "OrderService.submit", "next_page_token_count", "is_password_valid", "TokenBucket", "primary_key", "keyExtractor",
    "com.acme.billing.InvoiceService", "self.session.commit()", "useEffect", "std::vector", "sessionTimeout",
    "MAX_RETRIES", "content_type", "cache_key_prefix", "passwordMinLength",
)  # fmt: skip
_URLS = (
    "https://docs.python.org/3/library/json.html", "https://status.example.com/incidents", "https://www.w3.org/TR/xml/",
    "https://github.com/acme/gateway/issues/4123", "https://api.example.com/v2/orders", "https://example.org/help",
)  # fmt: skip
_WORDS = (
    "shipment", "invoice", "refund", "deployment", "latency", "warranty", "schedule", "premium", "checkout", "keyboard",
    "protocol", "referral", "discharge", "allergy", "dosage", "mortgage", "statement", "balance", "quarterly",
    "delivery",
)  # fmt: skip
