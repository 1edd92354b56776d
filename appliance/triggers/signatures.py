"""Who sent a webhook: the signatures of a few senders, checked over the bytes of the body. Pure.

github: X-Hub-Signature-256, HMAC-SHA-256 in hex over the body
(https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries).
gitlab: X-Gitlab-Token, the secret itself (https://docs.gitlab.com/user/project/integrations/webhooks/).
slack: X-Slack-Signature over `v0:TIME:BODY` (https://api.slack.com/authentication/verifying-requests-from-slack).
standard: webhook-signature over `ID.TIME.BODY` (https://www.standardwebhooks.com).
stripe: Stripe-Signature over `TIME.BODY` (https://docs.stripe.com/webhooks#verify-manually).
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

import msgspec

from runtime.domain.canonical import Json
from runtime.domain.trigger import Signature
from runtime.errors import Refused

TOLERANCE_S = 300
"""How old, or how far ahead, what was signed may be."""


class Signed(msgspec.Struct, frozen=True):
    """What a sender says of its request, once it is known to be its own."""

    id: str
    """Equal for each try to deliver the same."""
    event: str
    """What happened; empty where it is not said."""


def check(signature: Signature, secret: str, *, headers: Mapping[str, str], content: bytes, now_s: float) -> None:
    """Whether a request comes from who has the secret. `headers`: by lower-case name. Raises Refused, and never says
    why not in more than that: whoever has no secret learns nothing."""
    if not _CHECKS[signature](secret, headers, content, now_s):
        raise not_signed(signature)


def not_signed(signature: Signature) -> Refused:
    """What whoever has no secret is told."""
    return Refused("trigger.signature", f"the request is not signed by {signature} with this webhook's secret")


def said_by(signature: Signature, *, headers: Mapping[str, str], content: bytes, body: Json) -> Signed:
    """What the sender says of a request that is its own. `body`: `content`, read."""
    fields = body if isinstance(body, dict) else {}
    id_header, id_field, event_header, event_field = _NAMES[signature]
    found = headers.get(id_header, "") or str(fields.get(id_field) or "")
    event = headers.get(event_header, "") or _at(fields, event_field)
    return Signed(found or sha256(content).hexdigest(), event)


def _github(secret: str, headers: Mapping[str, str], content: bytes, now_s: float) -> bool:
    return _equal(f"sha256={_hex(secret.encode(), content)}", headers.get("x-hub-signature-256", ""))


def _gitlab(secret: str, headers: Mapping[str, str], content: bytes, now_s: float) -> bool:
    return _equal(secret, headers.get("x-gitlab-token", ""))


def _slack(secret: str, headers: Mapping[str, str], content: bytes, now_s: float) -> bool:
    at = headers.get("x-slack-request-timestamp", "")
    expected = f"v0={_hex(secret.encode(), b'v0:' + at.encode() + b':' + content)}"
    return _is_recent(at, now_s) and _equal(expected, headers.get("x-slack-signature", ""))


def _standard(secret: str, headers: Mapping[str, str], content: bytes, now_s: float) -> bool:
    id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = secret.encode()
    made = base64.b64encode(hmac.digest(key, f"{id}.{at}.".encode() + content, sha256)).decode()
    given = [each.partition(",") for each in headers.get("webhook-signature", "").split()]
    fits = [_equal(made, value) for version, _, value in given if version == "v1"]
    return bool(id) and _is_recent(at, now_s) and any(fits)


def _stripe(secret: str, headers: Mapping[str, str], content: bytes, now_s: float) -> bool:
    parts = [each.strip().partition("=") for each in headers.get("stripe-signature", "").split(",")]
    at = next((value for name, _, value in parts if name == "t"), "")
    made = _hex(secret.encode(), f"{at}.".encode() + content)
    fits = [_equal(made, value) for name, _, value in parts if name == "v1"]
    return _is_recent(at, now_s) and any(fits)


_CHECKS = {"github": _github, "gitlab": _gitlab, "slack": _slack, "standard": _standard, "stripe": _stripe}
_NAMES: dict[str, tuple[str, str, str, str]] = {
    "github": ("x-github-delivery", "", "x-github-event", ""),
    "gitlab": ("idempotency-key", "", "x-gitlab-event", ""),
    "slack": ("", "event_id", "", "event.type"),
    "standard": ("webhook-id", "", "", "type"),
    "stripe": ("", "id", "", "type"),
}
"""Header and field of the id, header and field of the event."""


def _hex(key: bytes, content: bytes) -> str:
    return hmac.digest(key, content, sha256).hex()


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass"))


def _is_recent(at: str, now_s: float) -> bool:
    return at.isascii() and at.isdigit() and len(at) < 16 and abs(now_s - int(at)) <= TOLERANCE_S


def _at(fields: Mapping[str, Json], path: str) -> str:
    value: Json = dict(fields)
    for part in path.split(".") if path else ():
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""
