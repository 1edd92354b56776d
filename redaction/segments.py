"""JSON payloads: every key, text and number is a segment; keys say what their values are.

A text that is JSON itself is walked through and written back as JSON. Values that are split over two messages of one
conversation are found as if they stood together.
"""

import json
from collections.abc import Iterator

import msgspec
import re2

from redaction.detectors.finance import card
from redaction.findings import Finding, merged
from redaction.placeholders import json_within
from redaction.redactor import Acted, Decision, Redacted, Redactor
from runtime.domain.canonical import Json
from runtime.errors import Refused

MAX_DEPTH = 200
_TAIL = 64
"""Characters of the message before that are context of the next."""
_MESSAGE_KEYS = ("content", "text", "message")
_ASKED = re2.compile(r"(?i)\b(?:password|passcode|passphrase|pin)(?: is)?[ ?:=.]*$")
_DIGITS = re2.compile(r"[0-9](?:[ \-.]?[0-9])*")

_NAMED_BY: dict[str, tuple[str, ...]] = {
    "PASSWORD": ("password", "passwd", "passphrase", "passcode", "pwd", "pin", "cvv", "cvc", "securitycode"),
    "API_KEY": ("apikey", "secretkey", "clientsecret", "accesskey", "accesskeyid", "secretaccesskey", "privatekey",
                "encryptionkey", "signingkey", "secret"),
    "TOKEN": ("authorization", "authtoken", "accesstoken", "refreshtoken", "bearertoken", "idtoken", "sessiontoken",
              "cookie", "setcookie", "xapikey", "token", "sessionid"),
    "PERSON": ("firstname", "lastname", "fullname", "surname", "givenname", "familyname", "middlename", "maidenname",
               "patientname", "customername", "cardholder", "cardholdername", "accountholder", "nameoncard",
               "employeename", "contactname", "mothersmaidenname", "nextofkin"),
    "DATE_OF_BIRTH": ("dob", "dateofbirth", "birthdate", "birthday", "birthdt", "born"),
    "EMAIL": ("email", "emailaddress", "mail"),
    "PHONE": ("phone", "phonenumber", "mobile", "mobilenumber", "telephone", "cellphone", "fax", "homephone",
              "workphone", "msisdn"),
    "ADDRESS": ("address", "streetaddress", "street", "addressline1", "addressline2", "homeaddress", "postaladdress",
                "billingaddress", "shippingaddress", "postcode", "zipcode", "postalcode"),
    "NATIONAL_ID": ("ssn", "socialsecuritynumber", "nino", "nationalid", "nationalinsurancenumber", "aadhaar", "cpf",
                    "pesel", "bsn", "sin", "driverslicense", "drivinglicence", "licensenumber"),
    "PASSPORT": ("passport", "passportnumber", "passportno"),
    "TAX_ID": ("taxid", "ein", "tin", "vatnumber"),
    "PAYMENT_CARD": ("cardnumber", "creditcard", "creditcardnumber", "ccnumber", "pan", "debitcard"),
    "IBAN": ("iban",),
    "BANK_ACCOUNT": ("accountnumber", "bankaccount", "sortcode", "routingnumber", "accountno"),
    "MEDICAL_RECORD": ("mrn", "medicalrecordnumber", "patientid", "medicalrecord", "patientidentifier"),
    "HEALTH_ID": ("nhsnumber", "memberid", "npi", "medicareid", "medicaidid", "insuranceid", "policynumber",
                  "subscriberid", "mbi"),
}  # fmt: skip
_ENTITY_BY_KEY = {key: entity for entity, keys in _NAMED_BY.items() for key in keys}
_OWNERS = ("patient", "customer", "user", "client", "employee", "contact", "my", "your", "db", "database", "new", "old",
           "home", "work", "billing", "shipping", "primary", "x", "admin", "smtp",
           "aws", "github", "stripe")  # fmt: skip
_HARMLESS = frozenset({"string", "number", "integer", "boolean", "object", "array", "null", "none", "true", "false",
                       "unknown", "required", "optional", "n/a", "bearer", "basic", "text", "uuid"})  # fmt: skip
_WORD = re2.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


class RedactedPayload(msgspec.Struct, frozen=True):
    """A JSON value as it may leave."""

    payload: Json
    """None when it may not."""
    findings: tuple[Acted, ...]
    decision: Decision


class _Dropped:
    """Stands for a value that is left out."""


_DROPPED = _Dropped()


def redact_payload(redactor: Redactor, payload: Json, destination: str = "") -> RedactedPayload:
    """Any JSON value as it may go to a destination.

    Raises Refused for one that is nested deeper than 200 levels, or that decodes to more than is looked through.
    """
    walk = _Walk(redactor, destination)
    found = walk.value(payload, path=(), around="")
    if any(each.action == "block" for each in walk.findings):
        return RedactedPayload(None, tuple(walk.findings), "block")
    return RedactedPayload(None if isinstance(found, _Dropped) else found, tuple(walk.findings), "allow")


def entity_of_key(key: str) -> str:
    """What the values of a key are, by its name; empty when it says nothing. `max_tokens` says nothing."""
    plain = "".join(char for char in key.lower() if char.isalnum())
    if plain in _ENTITY_BY_KEY:
        return _ENTITY_BY_KEY[plain]
    owner = next((owner for owner in _OWNERS if plain.startswith(owner)), "")
    return _ENTITY_BY_KEY.get(plain[len(owner) :], "") if owner else ""


class _Walk:
    """One payload on its way through."""

    def __init__(self, redactor: Redactor, destination: str) -> None:
        self._redactor = redactor
        self._destination = destination
        self.findings: list[Acted] = []

    def value(
        self, value: Json, *, path: tuple[str, ...], around: str, extra: tuple[Finding, ...] = ()
    ) -> "Json | _Dropped":
        if len(path) > MAX_DEPTH:
            message = (
                f"a payload is nested deeper than {MAX_DEPTH} levels, which is not looked through; send it flatter"
            )
            raise Refused("redaction.too_deep", message)
        match value:
            case dict():
                return self._mapping(value, path, around, extra)
            case list():
                return self._list(value, path, around)
            case str():
                return self._text(value, path, around, extra)
            case bool() | None:
                return value
            case int() | float():
                return self._number(value, path, around)

    def _mapping(
        self, members: dict[str, Json], path: tuple[str, ...], around: str, extra: tuple[Finding, ...]
    ) -> Json:
        kept: dict[str, Json] = {}
        for key, item in members.items():
            inner = (*path, key)
            is_message = isinstance(item, str) and key in _MESSAGE_KEYS
            words = f"{around if is_message or not path else ''} {' '.join(_words(inner))}"
            found = self.value(item, path=inner, around=words.strip(), extra=extra if is_message else ())
            if not isinstance(found, _Dropped):
                name = self._act(key, self._redactor.find(key), (*path, "(key)")).text
                while name in kept and name != key:
                    name += "_"
                kept[name] = found
        return kept

    def _list(self, items: list[Json], path: tuple[str, ...], around: str) -> Json:
        texts = [_message_of(item) for item in items]
        extras = _split_over(texts)
        kept: list[Json] = []
        for number, item in enumerate(items):
            before = texts[number - 1][-_TAIL:] if number and texts[number] else ""
            words = f"{around} {before}" if before else around
            extra = (*extras[number], *_answered(before, texts[number]))
            found = self.value(item, path=(*path, str(number)), around=words.strip(), extra=extra)
            if not isinstance(found, _Dropped):
                kept.append(found)
        return kept

    def _text(self, text: str, path: tuple[str, ...], around: str, extra: tuple[Finding, ...]) -> "Json | _Dropped":
        inner = json_within(text)
        if inner is not None:
            count = len(self.findings)
            found = self.value(inner, path=(*path, "(json)"), around=around)
            changed = any(each.action != "allow" for each in self.findings[count:])
            return json.dumps(None if isinstance(found, _Dropped) else found, ensure_ascii=False) if changed else text
        findings = [*self._redactor.find(text, around), *extra, *_by_key(text, path)]
        redacted = self._act(text, merged(findings), path)
        is_dropped = not redacted.text and any(each.action == "drop" for each in redacted.findings)
        return _DROPPED if is_dropped else redacted.text

    def _number(self, number: float, path: tuple[str, ...], around: str) -> "Json | _Dropped":
        text = str(number)
        if len(text) < 4:
            return number
        findings = merged([*self._redactor.find(text, around), *_by_key(text, path)])
        whole = [msgspec.structs.replace(each, start=0, end=len(text)) for each in findings[:1]]
        redacted = self._act(text, whole, path, is_number=True)
        if any(each.action == "drop" for each in redacted.findings):
            return _DROPPED
        return number if redacted.text == text else redacted.text

    def _act(self, text: str, findings: "list[Finding] | tuple[Finding, ...]", path: tuple[str, ...], *,
             is_number: bool = False) -> Redacted:  # fmt: skip
        redacted = self._redactor.act(text, findings, self._destination, is_number=is_number)
        place = ".".join(path)
        self.findings += (msgspec.structs.replace(each, path=place) for each in redacted.findings)
        return redacted


def _by_key(text: str, path: tuple[str, ...]) -> Iterator[Finding]:
    """The whole value, where the nearest key says what it is."""
    key = next((step for step in reversed(path) if not step.isdigit() and not step.startswith("(")), "")
    entity = entity_of_key(key)
    plain = text.strip().lower()
    is_template = plain.startswith(("{{", "${")) or plain[0:1] + plain[-1:] in ("<>", "[]") or not plain.strip("*")
    if entity and len(plain) >= 2 and plain not in _HARMLESS and not is_template:
        if entity in ("TOKEN", "API_KEY") and (len(plain) < 8 or len(plain.split()) > 3):
            return
        yield Finding(0, len(text), entity, 0.85, "key", key if key.isidentifier() else "")


def _words(path: tuple[str, ...]) -> Iterator[str]:
    """The words of the last two keys: `patientDOB` gives `patient dob`."""
    for step in [step for step in path if not step.isdigit()][-2:]:
        yield from (match.group().lower() for match in _WORD.finditer(step))


def _message_of(item: Json) -> str:
    if isinstance(item, dict):
        item = next((item[key] for key in _MESSAGE_KEYS if isinstance(item.get(key), str)), "")
    return item if isinstance(item, str) else ""


def _answered(before: str, text: str) -> Iterator[Finding]:
    """A message of one word, behind one that ends by asking for a password."""
    value = text.strip()
    if value and len(value.split()) == 1 and _ASKED.search(before):
        start = text.index(value)
        yield Finding(start, start + len(value), "PASSWORD", 0.8, "asked_before", "password")


def _split_over(texts: list[str]) -> list[tuple[Finding, ...]]:
    """Cards of which one message holds the beginning and the next, or the next but one, the rest."""
    found: list[list[Finding]] = [[] for _ in texts]
    runs = [[match.span() for match in _DIGITS.finditer(text)] for text in texts]
    for first in range(len(texts)):
        for second in range(first + 1, min(first + 3, len(texts))):
            if not runs[first] or not runs[second]:
                continue
            (a, b), (c, d) = runs[first][-1], runs[second][0]
            left, right = texts[first][a:b], texts[second][c:d]
            joined = f"{left} {right}"
            start, end = card(joined) if min(len(left), len(right)) >= 3 and len(joined) <= 40 else (0, 0)
            if start < len(left) < end:
                found[first].append(Finding(a + start, b, "PAYMENT_CARD", 0.9, "payment_card_split"))
                found[second].append(Finding(c, c + end - len(left) - 1, "PAYMENT_CARD", 0.9, "payment_card_split"))
    return [tuple(each) for each in found]
