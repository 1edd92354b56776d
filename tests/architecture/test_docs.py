"""The manual names everything that a user can meet: what the program has and the manual lacks is a failure."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import click
import pytest

from appliance.api.app import HANDLERS
from appliance.cli.command import ANYWHERE
from appliance.cli.root import af
from appliance.config.known import OTHER_VARIABLES, SETTINGS
from appliance.loader import check_bytes, load_tools
from appliance.loading.tool_kinds import TOOL_KINDS, own_keys
from appliance.loading.tool_specs import specs_of
from appliance.telemetry.metrics import Metrics
from runtime.domain.command import COMMANDS
from runtime.domain.event import EVENTS
from runtime.registry import KINDS, kinds
from tests.architecture.error_codes import raised_codes
from tests.architecture.source import ROOT, protocols

MANUAL = ROOT / "appliance" / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# A definition with one unknown key at every place that has keys of its own; the findings name those it knows.
PROBE = """
name: probe
?: 1
workflow: {?: 1}
policies: {?: 1}
memory: {?: 1}
tool_security: {?: 1, resource_limits: {?: 1}}
tool_registry: {?: 1, tools: {t: {type: t, ?: 1}}, rbac: {?: 1, roles: {r: {?: 1}}}}
triggers:
  - {?: 1, http_endpoint: {?: 1}, webhook: {?: 1}, schedule: {?: 1}}
  - {file_drop: {?: 1}, message: {?: 1}, mailbox: {?: 1}}
  - {email_webhook: {?: 1}, slack_integration: {?: 1}}
agents:
  a:
    type: llm
    ?: 1
    model: {?: 1}
    retry: {?: 1}
    rules: [{?: 1, call: [{?: 1}]}]
    otherwise: {?: 1}
    memory: {?: 1, short_term: {?: 1}, long_term: {?: 1}, episodic: {?: 1}, summarizer: {?: 1}}
planner:
  type: fsm
  definition: {?: 1, initial_state: a, states: {a: {?: 1, conditional_transitions: [{?: 1}]}}}
""".replace("?", "zzzzzz")
TREE_PROBE = "root: {type: selector, zzzzzz: 1, conditions: [{zzzzzz: 1}]}"
TENANT_PROBE = "tenants: {t: {zzzzzz: 1, resource_quotas: {zzzzzz: 1}, security_policy: {zzzzzz: 1}}}"


def test_every_page_is_reached_from_the_first() -> None:
    """A page that nothing leads to is not read."""
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", _page("index.md")))
    assert linked == {path.name for path in MANUAL.glob("*.md")} - {"index.md"}


def test_every_link_leads_somewhere() -> None:
    """A reader without a network cannot search for what moved."""
    broken = [
        f"{path.name} links to {target!r}, which is not there"
        for path in MANUAL.rglob("*.md")
        for target in re.findall(r"\]\(([^)#][^):]*)\)", FENCE.sub("", path.read_text()))
        if not _is_there(path, target)
    ]
    _expect_nothing(broken)


def test_every_setting_is_explained() -> None:
    """An operator finds a setting by its key in the file, or by the variable in the environment."""
    keys = [known.key for known in SETTINGS]
    variables = [*(known.variable for known in SETTINGS), *OTHER_VARIABLES]
    _expect_nothing(_missing("settings.md", [*keys, *variables]))


def test_every_command_is_explained_with_its_options() -> None:
    """What stands in no manual is found by nobody who is not told."""
    page = _page("commands.md")
    anywhere = {spelling for option in ANYWHERE for spelling in option.opts}
    missing = []
    for name, command in _commands(af, "af"):
        section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
        if section is None:
            missing.append(f"commands.md has no section '### {name}'")
            continue
        given = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
        for option in given:
            if option.startswith("--") and option not in anywhere and f"`{option}" not in section[1]:
                missing.append(f"commands.md, '### {name}', does not name {option}")
    missing += [f"commands.md does not name {option}" for option in anywhere if f"`{option}" not in page]
    _expect_nothing(missing)


def test_every_entry_of_a_journal_is_explained() -> None:
    """Whoever reads a journal in ten years has this page and the file."""
    bodies = (*EVENTS, *COMMANDS)
    missing = _missing("journal.md", [body.TYPE for body in bodies])
    for body in bodies:
        row = next((line for line in _page("journal.md").splitlines() if line.startswith(f"| `{body.TYPE}`")), "")
        missing += [
            f"journal.md, row {body.TYPE}, lacks {name}" for name in body.__struct_fields__ if f"`{name}`" not in row
        ]
    _expect_nothing(missing)


def test_the_worked_example_has_the_hash_that_it_says() -> None:
    """The page tells a reader to recompute it with sha256sum."""
    envelope = next(block for kind, block in FENCE.findall(_page("journal.md")) if kind == "json").strip()
    assert f"{sha256(envelope.encode()).hexdigest()}  -" in _page("journal.md")
    assert f"printf '%s' '{envelope}' | sha256sum" in _page("journal.md")


def test_every_error_code_is_explained() -> None:
    """The code is what an operator at three in the morning has."""
    explained = _explained_codes()
    literal, patterns = raised_codes()
    missing = [f"errors.md does not name {code!r}" for code in sorted(literal - explained)]
    missing += [
        f"errors.md names no code like {pattern!r}"
        for pattern in sorted(patterns)
        if not any(re.fullmatch(pattern, code) for code in explained)
    ]
    _expect_nothing(missing)


def test_no_error_code_is_explained_that_is_gone() -> None:
    """A manual that explains what cannot happen is not believed about the rest."""
    literal, patterns = raised_codes()
    gone = [
        f"errors.md explains {code!r}, which nothing raises"
        for code in sorted(_explained_codes() - literal)
        if not any(re.fullmatch(pattern, code) for pattern in patterns)
    ]
    _expect_nothing(gone)


def test_every_port_is_explained() -> None:
    """The seams are what somebody who extends the program looks for."""
    _expect_nothing(_missing("ports.md", [*protocols(), *KINDS]))


def test_every_route_is_explained() -> None:
    """The manual is read before the server runs, and /openapi.json only after."""
    routes = [
        f"{method} {re.sub(r':[a-z]+}', '}', path)}"
        for handler in HANDLERS
        for path in handler.paths
        for method in handler.http_methods - {"OPTIONS", "HEAD"}
    ]
    _expect_nothing(_missing("api.md", routes))


def test_every_metric_is_explained() -> None:
    """An alert is written from the manual."""
    names = re.findall(r"^# HELP (agentflow_\w+)", Metrics("0").page().decode(), re.MULTILINE)
    assert names
    _expect_nothing(_missing("api.md", names))


def test_every_kind_of_agent_is_explained() -> None:
    """Each kind has a section."""
    missing = [
        f"agents.md has no section '## {kind}'" for kind in kinds("agent") if f"\n## {kind}\n" not in _page("agents.md")
    ]
    _expect_nothing(missing)


def test_every_key_of_a_definition_is_explained() -> None:
    """Keys without effect too: their author wonders why nothing happens."""
    known = {key for probe in (PROBE, TREE_PROBE, TENANT_PROBE) for key in _known_keys(probe)}
    assert {"version", "handler", "wait_for", "threshold", "max_attempts", "tool_allowlist", "success_policy"} <= known
    absent = {finding.rpartition(" ")[2].strip("'") for finding in _missing("workflows.md", sorted(known))}
    absent = {finding.rpartition(" ")[2].strip("'") for finding in _missing("tools.md", sorted(absent))}
    _expect_nothing(_missing("triggers.md", sorted(absent)))


def test_every_key_of_a_tool_is_explained() -> None:
    """Each type has keys of its own, which no other page has."""
    here = {"code", "function"}
    for page, names in (("tools.md", here), ("built-in-tools.md", TOOL_KINDS.keys() - here)):
        keys = {key for name in names for key in own_keys(name)}
        _expect_nothing(_missing(page, sorted(keys)))
    missing = [name for name in TOOL_KINDS.keys() - here if f"type: {name}" not in _page("built-in-tools.md")]
    assert missing == []


def test_every_tool_of_the_manual_loads(tmp_path: Path) -> None:
    """An example is copied before it is understood."""
    blocks = [block for kind, block in FENCE.findall(_page("built-in-tools.md")) if kind == "yaml"]
    assert len(blocks) >= 8
    for block in blocks:
        (tmp_path / "tools.yaml").write_text(block)
        assert specs_of(load_tools(tmp_path / "tools.yaml"), "tools.yaml")


@pytest.mark.parametrize("page", ["getting-started.md", "workflows.md", "trees.md", "agents.md"])
def test_every_workflow_of_the_manual_loads(page: str, tmp_path: Path) -> None:
    """An example is copied before it is understood."""
    (tmp_path / "actions.py").write_text("def check(task, ctx):\n    return task\n")
    workflows = [block for kind, block in FENCE.findall(_page(page)) if kind == "yaml" and "\nagents:" in block]
    assert workflows
    for block in workflows:
        assert check_bytes(block.encode(), folder=tmp_path).problems == ()


def _expect_nothing(findings: list[str]) -> None:
    """Fail with every finding on a line of its own."""
    if findings:
        pytest.fail("\n".join(findings), pytrace=False)


def _page(name: str) -> str:
    return (MANUAL / name).read_text(encoding="utf-8")


def _is_there(page: Path, target: str) -> bool:
    return (page.parent / target.partition("#")[0]).exists()


def _missing(page: str, names: list[str]) -> list[str]:
    """What the page does not name between backticks, alone, with a value behind it, or as the end of a path."""
    spans = " ".join(re.findall(r"`([^`\n]+)`", FENCE.sub("", _page(page))))
    named = set(re.split(r"[\s,:{}\[\]()|…]+", spans)) | set(re.findall(r"`([^`\n]+)`", _page(page)))
    named |= {part for name in named for part in name.split(".")}
    return [f"{page} does not name {name!r}" for name in names if name not in named]


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def _known_keys(probe: str) -> Iterator[str]:
    for problem in check_bytes(probe.encode()).problems:
        if problem.code == "key.unknown":
            yield from problem.message.partition("; known: ")[2].split(", ")


def _explained_codes() -> set[str]:
    rows = re.findall(r"^\| (`[^|]+`) \|", _page("errors.md"), re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([a-z_]+\.[a-z0-9_]+)`", row)}
