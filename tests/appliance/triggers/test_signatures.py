"""Signatures of webhooks, held to examples of the senders' own documentation where they publish one."""

import base64
import hmac
from collections.abc import Mapping
from hashlib import sha256

import pytest

from appliance.triggers.signatures import Signed, check, said_by
from runtime.domain.trigger import Signature
from runtime.errors import Refused

NOW_S = 1_700_000_000.0


def checked(
    signature: Signature,
    secret: str,
    headers: Mapping[str, str],
    content: bytes,
    body: object = None,
    now_s: float = NOW_S,
) -> Signed:
    check(signature, secret, headers=headers, content=content, now_s=now_s)
    return said_by(signature, headers=headers, content=content, body=body)  # type: ignore[arg-type]  # JSON


# https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
GITHUB = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
# https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
# https://api.slack.com/authentication/verifying-requests-from-slack
SLACK = {
    "x-slack-request-timestamp": "1531420618",
    "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10"
    b"d2c447fce8b6703c"
)


def test_the_example_of_github_is_good() -> None:
    signed = checked("github", "It's a Secret to Everybody", {**GITHUB, "x-github-event": "ping"}, b"Hello, World!")
    assert "ping" == signed.event


def test_the_example_of_standard_webhooks_is_good() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = checked("standard", secret, STANDARD, b'{"test": 2432232314}', now_s=1_614_265_330)
    assert STANDARD["webhook-id"] == signed.id


def test_the_example_of_slack_is_good() -> None:
    checked("slack", "8f742231b10e8888abcd99yyyzzz85a5", SLACK, SLACK_BODY, now_s=1_531_420_618)


def test_stripe_signs_time_and_body() -> None:
    body = {"id": "evt_1", "type": "invoice.paid"}
    made = hmac.new(b"whsec_x", b"1700000000." + b"{}", sha256).hexdigest()
    headers = {"stripe-signature": f"t=1700000000,v0=beef,v1={'0' * 64},v1={made}"}
    assert Signed("evt_1", "invoice.paid") == checked("stripe", "whsec_x", headers, b"{}", body)


def test_gitlab_sends_the_secret_itself() -> None:
    headers = {"x-gitlab-token": "hush", "x-gitlab-event": "Push Hook", "idempotency-key": "k1"}
    assert Signed("k1", "Push Hook") == checked("gitlab", "hush", headers, b"{}")


def test_a_request_without_an_id_is_known_by_its_body() -> None:
    headers = {"x-gitlab-token": "hush"}
    first, again, other = (checked("gitlab", "hush", headers, body).id for body in (b"{}", b"{}", b"[]"))
    assert first == again != other


@pytest.mark.parametrize(
    ("signature", "secret", "headers", "content", "now_s"),
    [
        ("github", "It's a Secret to Everybody", GITHUB, b"Hello, World", NOW_S),
        ("github", "another", GITHUB, b"Hello, World!", NOW_S),
        ("github", "", {}, b"", NOW_S),
        ("gitlab", "hush", {"x-gitlab-token": "hush\udce9"}, b"", NOW_S),
        ("gitlab", "hush", {}, b"", NOW_S),
        ("slack", "8f742231b10e8888abcd99yyyzzz85a5", SLACK, SLACK_BODY, 1_531_420_618 + 301),
        ("slack", "x", {"x-slack-request-timestamp": "1e9"}, b"", 1e9),
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", STANDARD, b'{"test": 2432232314}', 1_614_265_330 - 301),
        ("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", {**STANDARD, "webhook-id": ""}, b"", 1_614_265_330),
        ("stripe", "x", {"stripe-signature": "t=1700000000"}, b"{}", NOW_S),
        ("stripe", "x", {"stripe-signature": "v1=,t=²"}, b"{}", NOW_S),
    ],
)
def test_what_is_not_signed_is_refused(
    signature: Signature, secret: str, headers: Mapping[str, str], content: bytes, now_s: float
) -> None:
    with pytest.raises(Refused, match=f"not signed by {signature}"):
        checked(signature, secret, headers, content, now_s=now_s)


def test_a_standard_secret_may_be_any_text() -> None:
    made = base64.b64encode(hmac.digest(b"not base64!", b"m.1700000000.{}", sha256)).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": "1700000000", "webhook-signature": f"v2,x v1,{made}"}
    assert "m" == checked("standard", "not base64!", headers, b"{}").id
