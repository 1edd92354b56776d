"""How well redaction does on made-up payloads: what leaks, what is destroyed, which disguises it sees through."""

from collections import Counter
from collections.abc import Callable

import msgspec

from appliance.bench.payloads.adversarial import adversarial
from appliance.bench.payloads.generate import destroyed, examples, leaked
from appliance.bench.payloads.hostile import Hostile, is_handled
from redaction.findings import Finding
from redaction.redactor import Decision, Redactor
from redaction.segments import redact_payload
from runtime.domain.canonical import Json
from runtime.errors import Refused

DESTINATION = "cloud:eu"
CODE = (
    "max_tokens=4096, total_tokens: 123456789, prompt_tokens 1834, completion_tokens=512, min_p=0.05",
    '{"max_tokens": 8192, "stop": ["\\n"], "logit_bias": {"50256": -100}, "seed": 1234567890, "n": 1}',
    "def get_user_token(self, key: str) -> Token:\n    return self.tokens[key]  # see docs/auth.md#tokens",
    "for token in tokenizer.encode(text)[:max_tokens]:\n    count[token] += 1\n",
    "const key = `${prefix}:${user.id}`; cache.set(key, value, { ttl: 3600 });",
    "password = os.environ['DB_PASSWORD']\napi_key = settings.API_KEY\nsecret = get_secret('name')",
    "if (password.length < MIN_PASSWORD_LENGTH) throw new Error('password too short');",
    "SELECT id, name, email, phone FROM users WHERE created_at > '2024-01-01' ORDER BY name LIMIT 10;",
    "CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT NOT NULL, password_hash TEXT, address TEXT);",
    'class Address(Base):\n    street: str\n    zip_code: str = Field(pattern=r"^[0-9]{5}$")',
    "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12\n    Fix off-by-one in parser (closes #1234)",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 app-1.4.2-linux-amd64.tar.gz",
    "550e8400-e29b-41d4-a716-446655440000 2024-03-01T12:30:45.123Z 1709294445123 0x7ffee4b0c9a0 3.11.7",
    "docker run -p 8080:80 -e LOG_LEVEL=debug --name web nginx:1.25.3-alpine",
    "kubectl get pods -n billing -o jsonpath='{.items[0].metadata.name}'",
    "ERROR [main] c.a.b.OrderService - order 88231 failed: java.lang.IllegalStateException: retry 3/5",
    "requests==2.31.0\nnumpy>=1.26,<3\ntorch==2.4.1+cpu --hash=sha256:" + "ab12cd34" * 8,
    "type: object\nproperties:\n  token: {type: string}\n  email: {type: string, format: email}\nrequired: [token]",
    "return { name: user.name, phone: user.phone, address: user.address, dob: user.dob };",
    "The answer uses at most 512 tokens; the key idea is to pass the context on. Total: 250.00 EUR, 14:30.",
)
"""Programs, settings and identifiers in which nobody is, and nothing is secret."""

MakeRedactor = Callable[[], Redactor]


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Counts over made-up payloads."""

    payloads: int
    sensitive: Counter[str]
    """By entity."""
    leaked: Counter[str]
    secrets: int
    leaked_secrets: int
    harmless: int
    destroyed: int

    @property
    def leaked_ratio(self) -> float:
        """Of all sensitive values, those that were still there."""
        return self.leaked.total() / max(1, self.sensitive.total())

    @property
    def leaked_secrets_ratio(self) -> float:
        """The same of secrets."""
        return self.leaked_secrets / max(1, self.secrets)

    @property
    def destroyed_ratio(self) -> float:
        """Of all harmless values, those that were not there any more."""
        return self.destroyed / max(1, self.harmless)


def quality(make: MakeRedactor, *, count: int, seed: int = 0) -> Quality:
    """Redact so many payloads, each in a run of its own."""
    sensitive, lost = Counter[str](), Counter[str]()
    secrets = leaked_secrets = harmless = gone = 0
    for example in examples(count, seed=seed):
        _, out = _redacted(make(), example.payload)
        still_there = leaked(example, out)
        sensitive.update(each.type for each in example.sensitive)
        lost.update(each.type for each in still_there)
        secrets += sum(each.is_secret for each in example.sensitive)
        leaked_secrets += sum(each.is_secret for each in still_there)
        harmless += len(example.harmless)
        gone += len(destroyed(example, out))
    return Quality(
        payloads=count,
        sensitive=sensitive,
        leaked=lost,
        secrets=secrets,
        leaked_secrets=leaked_secrets,
        harmless=harmless,
        destroyed=gone,
    )


def attacked(make: MakeRedactor) -> tuple[Counter[str], Counter[str], list[Hostile]]:
    """Hostile cases by kind: how many are handled, how many there are, and those that are not."""
    handled, total, missed = Counter[str](), Counter[str](), list[Hostile]()
    for case in adversarial():
        total[case.kind] += 1
        if is_handled(case, *_redacted(make(), case.payload)):
            handled[case.kind] += 1
        else:
            missed.append(case)
    return handled, total, missed


def alarms(make: MakeRedactor) -> list[Finding]:
    """What is found in code and settings that hold nothing."""
    redactor = make()
    return [each for text in CODE for each in redactor.find(text) if each.score >= redactor.policy.min_score]


def _redacted(redactor: Redactor, payload: Json) -> tuple[Decision, Json]:
    try:
        found = redact_payload(redactor, payload, DESTINATION)
    except Refused:
        return "block", None
    return found.decision, found.payload
