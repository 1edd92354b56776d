"""Unusual use of tools is told once, with its reason, against each tenant's own past."""

from collections.abc import Iterable

import msgspec
import pytest

from runtime.policies.threats import BURST_REFUSALS, MINUTE_US, QUIET_US, Alert, Detector, Use


def call(minute: float, tool: str = "search", **more: object) -> Use:
    use = Use(at_us=int(minute * MINUTE_US), tenant="acme", what="call", tool=tool, agent="a", workflow="w", run="r-1")
    return msgspec.structs.replace(use, **more)


def alerts(uses: Iterable[Use], detector: Detector | None = None) -> list[Alert]:
    detector = detector or Detector()
    return [alert for use in uses for alert in detector.observe(use)]


def a_quiet_day(tenant: str = "acme") -> list[Use]:
    """Three calls in each of thirty minutes, and their answers of a kilobyte."""
    return [
        use
        for minute in range(30)
        for part in range(3)
        for use in (
            call(minute + part / 10, tenant=tenant),
            call(minute + part / 10, tenant=tenant, what="transfer", size_bytes=1_000),
        )
    ]


def kinds(found: Iterable[Alert]) -> list[str]:
    return [alert.kind for alert in found]


def test_a_quiet_day_alerts_nobody() -> None:
    """An alert that is always there is read by nobody."""
    assert [] == alerts(a_quiet_day())


def test_many_calls_in_a_minute_are_told_once_with_what_was_usual() -> None:
    """The eleventh is the first above the least that counts."""
    found = alerts([*a_quiet_day(), *(call(40 + number / 100) for number in range(50))])
    assert [("rate", "search", 11, 3)] == [(each.kind, each.subject, each.observed, each.usual) for each in found]
    assert "11 times within a minute" in found[0].why
    assert "30 minutes before" in found[0].why


def test_a_tool_or_target_that_was_never_used_is_told() -> None:
    """By agent: what one may do often is news of another."""
    detector = Detector()
    alerts(a_quiet_day(), detector)
    assert ["first_use"] == kinds(alerts([call(50, "mail")], detector))
    assert [] == kinds(alerts([call(51, "mail")], detector))
    assert ["first_use"] == kinds(alerts([call(52, "mail", agent="b")], detector))
    sent = call(53, "", what="transfer", target="files.example:443", size_bytes=10)
    found = alerts([sent, sent], detector)
    assert ["new_target"] == kinds(found)
    assert "agent 'a' of workflow 'w' sent to files.example:443 for the first time" in found[0].why


def test_what_is_new_while_the_baseline_is_short_is_learned() -> None:
    """The first day would be one alert."""
    assert [] == alerts(call(number, f"tool-{number}") for number in range(20))


def test_a_burst_of_refusals_needs_no_baseline() -> None:
    """Somebody tries what is open."""
    refused = [call(number / 60, "mail", what="refusal", code="tool.not_granted") for number in range(BURST_REFUSALS)]
    assert [] == alerts(refused[:-1])
    found = alerts(refused)
    assert [("denied_burst", BURST_REFUSALS)] == [(each.kind, each.observed) for each in found]
    assert "tool.not_granted" in found[0].why
    slow = [call(number, "mail", what="refusal", code="x") for number in range(50)]
    assert [] == alerts(slow)


def test_much_data_in_one_call_is_told() -> None:
    """Against the largest before."""
    detector = Detector()
    alerts(a_quiet_day(), detector)
    assert [] == kinds(alerts([call(50, what="transfer", size_bytes=100_000)], detector))
    found = alerts([call(51, what="transfer", size_bytes=1_000_001)], detector)
    assert [("data_volume", 1_000_001, 100_000)] == [(each.kind, each.observed, each.usual) for each in found]


def test_a_tenants_past_says_nothing_about_anothers() -> None:
    """What is usual here is nobody's excuse there."""
    detector = Detector()
    alerts([*a_quiet_day("acme"), *a_quiet_day("other")], detector)
    assert [] == alerts([call(60, "search")], detector)
    assert ["first_use"] == kinds(alerts([call(60, "mail", tenant="other")], detector))
    assert ["first_use"] == kinds(alerts([call(61, "mail")], detector))


def test_the_same_alert_is_repeated_after_a_while() -> None:
    """Not every minute, and not never."""
    burst = [call(0, "mail", what="refusal", code="x")] * BURST_REFUSALS
    later = [msgspec.structs.replace(use, at_us=use.at_us + QUIET_US) for use in burst]
    soon = [msgspec.structs.replace(use, at_us=use.at_us + 2 * MINUTE_US) for use in burst]
    assert ["denied_burst", "denied_burst"] == kinds(alerts([*burst, *soon, *later]))


@pytest.mark.parametrize("count", [1, 3])
def test_the_same_log_gives_the_same_alerts(count: int) -> None:
    """Nothing but the log decides."""
    uses = [*a_quiet_day(), call(50, "mail"), *(call(60, "search") for _ in range(40))]
    assert 2 == len(alerts(uses))
    assert all(alerts(uses) == alerts(uses) for _ in range(count))
