"""Errors as problem documents."""

import logging

import msgspec
import pytest

from appliance.api.problems import TITLES, answer, pointer
from runtime import errors
from runtime.domain.problem import Problem
from tests.appliance.api.serving import Api

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AgentFlowError)]


def _document(error: Exception) -> dict[str, object]:
    return msgspec.json.decode(answer(error, "q-1").body, type=dict[str, object])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__init__ is errors.AgentFlowError.__init__])
def test_every_kind_of_error_has_a_document(kind: type[errors.AgentFlowError]) -> None:
    """A new kind of error must not reach a client as something else."""
    assert _document(kind("area.what", "what failed")) == {
        "type": "urn:agentflow:problem:area.what",
        "title": next(title for known, title in TITLES.items() if issubclass(kind, known)),
        "status": kind.http_status,
        "detail": "what failed",
        "instance": "q-1",
    }


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (errors.Unavailable("model.resting", "each has failed", retry_after_s=2.1), "3"),
        (errors.Unavailable("model.worker_died", "it died"), "1"),
        (errors.Refused("egress.rate_refused", "too fast", retryable=True, retry_after_s=0.2), "1"),
        (errors.Unavailable("model.no_key", "there is none", retryable=False), None),
        (errors.Refused("budget.exceeded", "no room"), None),
    ],
)
def test_an_error_says_when_asking_again_may_help(error: errors.AgentFlowError, after: str | None) -> None:
    """Clients wait as long as they are told; a server that rests for minutes would be asked every second."""
    assert after == answer(error, "q-1").headers.get("retry-after")


def test_a_definition_is_answered_with_every_problem() -> None:
    """Pointer, line and hint are what an editor needs to jump there."""
    problems = [
        Problem(
            code="key.unknown", message="unknown key", file="/srv/x.yaml", line=3, path="agents.a.tools[0]", hint="tool"
        ),
        Problem(code="agent.none", message="no agents", severity="warning"),
    ]
    document = _document(errors.InvalidDefinition("/srv/x.yaml", problems))
    assert (document["status"], document["detail"]) == (422, "the definition has 2 problem(s)")
    assert document["errors"] == [
        {"detail": "unknown key", "pointer": "#/agents/a/tools/0", "line": 3, "hint": "tool"},
        {"detail": "no agents", "severity": "warning"},
    ]


def test_what_nobody_foresaw_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A stack trace in an answer tells an attacker more than the user."""
    with caplog.at_level(logging.ERROR):
        document = _document(ZeroDivisionError("secret"))
    assert (document["status"], document["type"]) == (500, "urn:agentflow:problem:internal.error")
    assert "secret" not in str(document)
    assert "q-1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_the_routers_own_errors_are_problems_too(api: Api) -> None:
    """A client that reads one shape of error has to meet no other."""
    expected = {
        ("GET", "/nope"): (404, "urn:agentflow:problem:http.not_found"),
        ("GET", "/v1"): (404, "urn:agentflow:problem:http.not_found"),
        ("GET", "/docs/assets/secret.js"): (404, "urn:agentflow:problem:http.not_found"),
        ("DELETE", "/v1/runs"): (405, "urn:agentflow:problem:http.method_not_allowed"),
        ("TRACE", "/v1/runs"): (405, "urn:agentflow:problem:http.method_not_allowed"),
        ("POST", "/v1/workflows/echo"): (405, "urn:agentflow:problem:http.method_not_allowed"),
    }
    found = {asked: await api.client.request(*asked) for asked in expected}
    assert expected == {asked: (answer.status_code, answer.json()["type"]) for asked, answer in found.items()}
    assert {"application/problem+json"} == {answer.headers["content-type"] for answer in found.values()}


async def test_the_methods_of_a_path_are_named(api: Api) -> None:
    """By OPTIONS and by a refusal alike."""
    refused = await api.client.delete("/v1/runs")
    assert {"GET", "POST", "OPTIONS"} == set(refused.headers["allow"].split(", "))
    assert (await api.client.options("/v1/runs")).headers["allow"] == "GET, OPTIONS, POST"


def test_a_pointer_escapes_what_rfc_6901_and_uris_need_escaped() -> None:
    """`a/b` and `a`, `b` are different places."""
    assert pointer(["a/b", "c~d", "ä", ""]) == "#/a~1b/c~0d/%C3%A4/"
