"""Triggers of a definition: what loads, and what each slip is told."""

import pytest

from appliance import loader
from runtime.domain.canonical import encode
from runtime.domain.problem import Problem
from runtime.domain.trigger import HttpEndpoint, OnMessage, Schedule, triggers_of
from runtime.errors import InvalidDefinition

HEAD = "name: x\n"
AGENT = "agents:\n  a:\n    type: llm\n"
ALL = """\
triggers:
  - http_endpoint: {path: /chat}
  - schedule: {cron: "0 7 * * 1-5", timezone: Europe/Berlin, missed: skip, overlap: allow}
    input: {day: "{{ due }}"}
  - schedule: {every: 15m}
  - name: shop
    message: {subject: orders.>}
  - webhook: {path: /git, secret: secret://git-hook, signature: github, events: [push]}
  - file_drop: {folder: inbox, pattern: "*.csv", after: keep}
  - mailbox: {folder: mail}
"""


def problems(triggers: str) -> list[Problem]:
    try:
        return list(loader.load_bytes(f"{HEAD}{AGENT}{triggers}".encode()).problems)
    except InvalidDefinition as error:
        return list(error.problems)


def test_each_kind_loads_with_a_name_of_its_own() -> None:
    found = triggers_of(loader.load_bytes(f"{HEAD}{AGENT}{ALL}".encode()).document)
    names = ["http-endpoint", "schedule", "schedule-2", "shop", "webhook", "file-drop", "mailbox"]
    assert names == [each.name for each in found]
    assert HttpEndpoint("/chat", "POST") == found[0].how
    assert Schedule("0 7 * * 1-5", "", "Europe/Berlin", "skip", "allow") == found[1].how
    assert OnMessage("orders.>") == found[3].how
    assert {"day": "{{ due }}"} == found[1].input


@pytest.mark.parametrize(
    ("trigger", "code", "path"),
    [
        ("{name: x}", "trigger.kind", "triggers.0"),
        ("{schedule: {every: 1m}, mailbox: {folder: a}}", "trigger.kind", "triggers.0"),
        ("{schedule: {timezone: UTC}}", "trigger.schedule", "triggers.0.schedule"),
        ("{schedule: {cron: '0 0 * * *', every: 1m}}", "trigger.schedule", "triggers.0.schedule"),
        ("{schedule: {cron: '0 25 * * *'}}", "trigger.cron", "triggers.0.schedule"),
        ("{schedule: {cron: '0 0 * * *', timezone: Mars/Olympus}}", "trigger.zone", "triggers.0.schedule"),
        ("{schedule: {every: 10ms}}", "value.range", "triggers.0.schedule.every"),
        ("{schedule: {every: 1m, missed: none}}", "value.unknown", "triggers.0.schedule.missed"),
        ("{message: {subject: '>'}}", "trigger.endless", "triggers.0.message.subject"),
        ("{message: {subject: '*.created'}}", "trigger.endless", "triggers.0.message.subject"),
        ("{message: {subject: 'a b'}}", "bus.bad_filter", "triggers.0.message.subject"),
        ("{webhook: {path: /x}}", "key.missing", "triggers.0.webhook"),
        ("{webhook: {path: /x, secret: Not Good}}", "value.form", "triggers.0.webhook.secret"),
        ("{webhook: {path: x, secret: git}}", "value.form", "triggers.0.webhook.path"),
        ("{file_drop: {folder: /srv/in}}", "value.form", "triggers.0.file_drop.folder"),
        ("{schedule: {every: 1m}, input: '{{ body }}'}", "trigger.input", "triggers.0.input"),
        ("{schedule: {every: 1m}, input: '{{ body'}", "template.invalid", "triggers.0.input"),
    ],
)
def test_a_slip_is_told_with_its_place(trigger: str, code: str, path: str) -> None:
    (problem,) = problems(f"triggers:\n  - {trigger}\n")
    assert ("error", code, path) == (problem.severity, problem.code, problem.path)


@pytest.mark.parametrize(
    "second",
    ["{name: schedule, mailbox: {folder: a}}", "{name: b, http_endpoint: {path: /x}}"],
)
def test_two_triggers_do_not_share_a_name_or_a_path(second: str) -> None:
    first = "  - schedule: {every: 1m}\n  - http_endpoint: {path: /x}\n"
    (problem,) = problems(f"triggers:\n{first}  - {second}\n")
    assert ("trigger.twice", "triggers.2") == (problem.code, problem.path)


def test_one_path_may_be_there_for_two_methods() -> None:
    both = "  - http_endpoint: {path: /x}\n  - http_endpoint: {path: /x, method: GET}\n"
    assert [] == problems(f"triggers:\n{both}")


def test_a_definition_as_it_is_kept_has_the_same_triggers() -> None:
    workflow = loader.load_bytes(f"{HEAD}{AGENT}{ALL}".encode())
    kept = loader.from_document(encode(workflow.document), "")
    assert triggers_of(workflow.document) == triggers_of(kept.document)
    assert workflow == kept


@pytest.mark.parametrize(
    "endpoint", ["{}", "{path: '/chat/{id}'}", "{path: /chat/}", "{path: /a//b}", "{path: /h, method: HEAD}"]
)
def test_an_endpoint_that_no_request_reaches_loads_with_a_warning(endpoint: str) -> None:
    """Earlier versions kept such definitions, and runs are pinned to them."""
    triggers = f"triggers:\n  - http_endpoint: {endpoint}\n"
    assert [("key.not_active", "warning")] == [
        (each.code, each.severity) for each in problems(triggers) if "triggers" in each.path
    ]
    workflow = loader.load_bytes(f"{HEAD}{AGENT}{triggers}".encode())
    again = loader.from_document(encode(workflow.document), "")
    assert (workflow.hash, 1) == (again.hash, len(triggers_of(again.document)))
