"""`af test`: what it runs, what it prints, how it ends, and that it leaves nothing behind."""

import json
import os
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.appliance.cli.conftest import Af

SCENARIOS = """
version: 1
workflow: desk.yaml
scenarios:
  - name: a card is answered
    input: {message: card}
    repeat: 2
    expect: {status: succeeded, path: [sort, answer, done], contains: {text: hello}, egress: none, max_cost: 0}

  - name: somebody answers the rest
    input: {message: weather}
    signals: {person: {answer: sunny}}
    expect: {path: [sort, ask, done], output: {answer: sunny}}

  - name: what waits
    input: {message: weather}
    expect: {status: waiting, awaits: person, end: ask}

  - name: played answers
    input: {message: weather}
    answers: {sort: [{known: true}], answer: ["good day"]}
    expect: {output: {text: good day}}

  - name: an error has its code
    input: {message: card broken}
    expect: {status: failed, error: model.broken}

  - name: not now
    skip: the desk is closed
    expect: {status: succeeded}
"""
FAILING = """
version: 1
workflow: desk.yaml
scenarios:
  - {name: wrong, input: {message: card}, expect: {output: {text: bye}}}
  - {name: right, input: {message: card}, expect: {output: {text: hello}}}
datasets:
  - name: rows
    file: rows.csv
    input: {message: "{{ row.text }}"}
    label: "{{ row.label }}"
    found: "{{ steps.answer.text }}"
    min_accuracy: 0.7
"""
ROWS = "text,label\ncard,hello\ncard 2,hello\ncard 3,bye\n"


@pytest.fixture
def folder(tmp_path: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary folders are made here, so that a test sees what is left."""
    assert desk.parent == tmp_path
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("AGENTFLOW_DATA", str(tmp_path / "data"))
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "scenarios.yaml"
    file.write_text(text)
    (folder / "rows.csv").write_text(ROWS)
    return file


def test_scenarios_that_hold(af: Af, folder: Path) -> None:
    """One line each, nothing of the user's touched, and nothing left behind."""
    said = af("test", written(folder, SCENARIOS), "--jobs", "3")
    assert 0 == said.code, said
    for name in ("a card is answered", "somebody answers the rest", "what waits", "played answers"):
        assert f"  ✓ {name}" in said.out
    assert "2 of 2, alike" in said.out
    assert "  – not now" in said.out
    assert "5 passed, 1 skipped · 6 runs in " in said.out
    assert "" == said.err.replace("▸", "")
    assert [] == os.listdir(folder / "temporary")
    assert not (folder / "data").exists()


def test_scenarios_that_do_not_hold(af: Af, folder: Path) -> None:
    """What was expected at which place, what was found, the way that the run took, where it stands, what to do next."""
    said = af("test", written(folder, FAILING))
    assert 1 == said.code
    place = folder / "scenarios.yaml"
    for expected in (
        '      output.text\n        expected "bye"\n        found    "hello"\n      path  sort → answer → done\n',
        f"      line  {place}:5\n",
        "  ✓ right",
        "2 of 3 right, 66.7%",
        "      line 4  label: expected bye, found hello\n",
        "1 passed, 2 failed · 5 runs in ",
        f"test {place} -k wrong --keep\n",
    ):
        assert expected in said.out, said.out
    assert "TAKEN FOR" in said.out
    assert [] == os.listdir(folder / "temporary")


def test_the_document_and_the_report_say_the_same(af: Af, folder: Path) -> None:
    """Programs read what people read."""
    report = folder / "report.xml"
    said = af("test", written(folder, FAILING), "--json", "--junit", report)
    found = said.document
    assert (1, False, 1, 2) == (said.code, found["ok"], found["passed"], found["failed"])
    (file,) = json.loads(said.out)["files"]
    wrong = file["scenarios"][0]["attempts"][0]
    assert {"at": "output.text", "expected": '"bye"', "found": '"hello"', "hint": ""} == wrong["differences"][0]
    (rows,) = file["datasets"]
    assert (3, 2, [{"expected": "bye", "found": "hello", "rows": 1}]) == (
        rows["rows"],
        rows["right"],
        rows["confusions"],
    )
    root = ET.parse(report).getroot()
    assert ("3", "2") == (root.get("tests"), root.get("failures"))
    assert 'output.text: expected "bye", found "hello"' == root.find(".//failure").get("message")  # type: ignore[union-attr]  # it is there


def test_fail_fast_stops_and_a_name_chooses(af: Af, folder: Path) -> None:
    file = written(folder, FAILING)
    assert "1 failed · 1 run in" in af("test", file, "--fail-fast", "--jobs", "1").out
    assert "1 passed · 1 run in" in af("test", file, "-k", "RIGHT").out
    assert "1 passed · 1 run in" in af("test", folder, "--scenario", "right").out


def test_what_is_kept_can_be_looked_at(af: Af, folder: Path) -> None:
    """The command that is printed works as it stands."""
    said = af("test", written(folder, FAILING), "-k", "wrong", "--keep")
    (kept,) = (folder / "temporary").iterdir()
    line = next(line for line in said.out.splitlines() if " runs show " in line)
    run = line.rpartition(" ")[2]
    assert f"--data {kept} runs show {run}" in line
    assert 0 == af("--data", kept, "runs", "show", run).code


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            ("path: [sort, answer, done]", "path: [sort, anwser, done]"),
            "has no state 'anwser' (did you mean 'answer'?)",
        ),
        (("awaits: person, end: ask", "not_visited: [anwser]"), "has no state 'anwser' (did you mean 'answer'?)"),
        (
            ("awaits: person, end: ask", "tools: {not_called: [create_tiket]}"),
            "has no tool 'create_tiket' (did you mean 'create_ticket'?)",
        ),
        (("answers: {sort:", "answers: {srot:"), "'srot', which is no agent of workflow 'desk'"),
        (("repeat: 2", "repaet: 2"), "scenarios.yaml:7: error[key.unknown] scenarios.0.repaet:"),
        (("workflow: desk.yaml", "workflow: dsk.yaml"), "there is no file 'dsk.yaml'"),
    ],
)
def test_a_file_that_is_wrong_runs_nothing(af: Af, folder: Path, change: tuple[str, str], told: str) -> None:
    said = af("test", written(folder, SCENARIOS.replace(*change)))
    assert (2, "") == (said.code, said.out)
    assert told in said.err
    assert [] == os.listdir(folder / "temporary")


def test_a_workflow_that_is_wrong_is_told_as_validate_tells_it(af: Af, folder: Path) -> None:
    (folder / "desk.yaml").write_text((folder / "desk.yaml").read_text().replace("prompt:", "promt:"))
    said = af("test", written(folder, SCENARIOS))
    assert 2 == said.code
    assert "desk.yaml:7: error[key.unknown] agents.sort.promt:" in said.err


def test_nothing_leaves_this_machine(af: Af, folder: Path) -> None:
    """An agent that would ask somebody elsewhere is refused, and its scenario can say that it must not try."""
    (folder / "web.yaml").write_text(
        "name: web\nagents:\n"
        "  fetch: {type: http, config: {url: 'http://api.example.org/x'}, retry: {max_attempts: 1}}\n"
    )
    text = (
        "version: 1\nworkflow: web.yaml\nscenarios:\n"
        "  - {name: sealed, expect: {status: failed, error: egress.refused_zone, egress: none}}\n"
    )
    said = af("test", written(folder, text), "--json")
    differences = json.loads(said.out)["files"][0]["scenarios"][0]["attempts"][0]["differences"]
    assert ("egress", "http to api.example.org:80, refused") == (differences[-1]["at"], differences[-1]["found"])


def test_what_runs_of_its_steps_send_counts_too(af: Af, folder: Path) -> None:
    fetch = "{type: http, config: {url: 'http://api.example.org/x'}, retry: {max_attempts: 1}}"
    inner = f"{{name: web, agents: {{fetch: {fetch}}}}}"
    (folder / "web.yaml").write_text(f"name: outer\nagents:\n  part: {{type: workflow, workflow: {inner}}}\n")
    text = "version: 1\nworkflow: web.yaml\nscenarios:\n  - {name: sealed, expect: {status: failed, egress: none}}\n"
    said = af("test", written(folder, text), "--json")
    (difference,) = json.loads(said.out)["files"][0]["scenarios"][0]["attempts"][0]["differences"]
    assert ("egress", "http to api.example.org:80, refused") == (difference["at"], difference["found"])


def test_a_signal_that_is_refused_fails_its_scenario_alone(af: Af, folder: Path) -> None:
    (folder / "desk.yaml").write_text(
        "name: desk\nagents:\n"
        "  ask: {type: human_task, role: Refund, config: {assignment_rules: [{role: clerk}], instructions: 'Fine?'}}\n"
    )
    text = """
version: 1
workflow: desk.yaml
scenarios:
  - {name: no clerk, signals: [{name: ask, role: guest, data: {decision: approve}}], expect: {status: succeeded}}
  - {name: waits, expect: {status: waiting}}
"""
    said = af("test", written(folder, text), "--json")
    refused, waits = json.loads(said.out)["files"][0]["scenarios"]
    assert (1, True) == (said.code, waits["passed"]), said
    first = refused["attempts"][0]["differences"][0]
    assert ("signals.0", "a signal that is taken") == (first["at"], first["expected"])
    assert first["found"].startswith("human.")


def test_tools_of_the_operator_are_there_too(af: Af, folder: Path) -> None:
    """A definition that names one is checked as it is where it runs in earnest."""
    (folder / "data").mkdir()
    (folder / "data" / "tools.yaml").write_text(
        "tool_registry: {tools: {look_up: {type: http, url: 'http://x.example/'}}}\n"
    )
    (folder / "desk.yaml").write_text(
        "name: desk\nagents:\n"
        "  a: {type: llm, model: {provider: scripted, answers: [hello]}, prompt: hi, tools: [look_up]}\n"
    )
    text = "version: 1\nworkflow: desk.yaml\nscenarios:\n  - {name: a, expect: {output: {text: hello}}}\n"
    said = af("test", written(folder, text))
    assert 0 == said.code, said
    assert ["tools.yaml"] == os.listdir(folder / "data")


def test_tools_are_played(af: Af, folder: Path) -> None:
    """One that would ask somebody elsewhere, and one that is built in: by arguments, in turn in each run, failing."""
    (folder / "desk.yaml").write_text(
        "name: desk\n"
        "tool_registry: {tools: {look_up: {type: http, url: 'http://api.example.org/{id}'}}}\n"
        "agents:\n"
        "  ask: {type: database, tools: [look_up], input: {id: '{{ input.id }}'}, retry: {max_attempts: 2}}\n"
        "  tell: {type: database, tools: [create_ticket], input: {subject: x}}\n"
        "output: {said: '{{ steps.ask }}', id: '{{ steps.tell.id }}'}\n"
        "planner: {type: sequential, agents: [ask, tell]}\n"
    )
    text = """
version: 1
workflow: desk.yaml
tool_answers: {create_ticket: [{id: T-77, status: open}]}
scenarios:
  - name: by arguments
    input: {id: 7}
    tool_answers: {look_up: {'"id": 7': {said: first}, ".*": {said: second}}}
    expect: {output: {said: {said: first}, id: T-77}, tools: [look_up, create_ticket], egress: none}
  - name: in turn
    input: {id: 8}
    repeat: 2
    tool_answers: {look_up: [{error: {code: look.down, retryable: true}}, {said: late}]}
    expect: {output: {said: {said: late}}}
  - name: failing
    input: {id: 9}
    tool_answers: {look_up: {'"id": 7': {}}}
    expect: {status: failed, error: tool.script_has_no_answer}
"""
    said = af("test", written(folder, text))
    assert 0 == said.code, said.out


def test_a_played_tool_is_refused_in_earnest(af: Af, tmp_path: Path) -> None:
    """A definition cannot have answers made up for it."""
    (tmp_path / "w.yaml").write_text(
        "name: w\ntool_registry: {tools: {create_ticket: {type: scripted, answers: [{id: T-1, status: open}]}}}\n"
        "agents:\n  a:\n    type: database\n    tools: [create_ticket]\n    input: {subject: x}\n"
    )
    said = af("run", tmp_path / "w.yaml", "--json")
    assert (3, "tool.feature") == (said.code, said.document["error"]["code"])  # type: ignore[index]  # it failed


def test_models_that_are_not_here_are_named_before_anything_runs(af: Af, folder: Path) -> None:
    (folder / "desk.yaml").write_text(
        "name: desk\nagents:\n  a: {type: llm, model: {provider: local, name: smollm2-135m-instruct}, prompt: hi}\n"
    )
    text = "version: 1\nworkflow: desk.yaml\nscenarios:\n  - {name: a, expect: {status: succeeded}}\n"
    said = af("test", written(folder, text))
    assert (4, "") == (said.code, said.out)
    assert "the scenarios ask smollm2-135m-instruct, not in " in said.err
    played = text.replace("{name: a,", '{name: a, answers: {a: "hello"},')
    assert 0 == af("test", written(folder, played)).code


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("", ""), "scenarios.yaml: fine, scenarios"),
        (("repeat: 2", "repaet: 2"), "scenarios.yaml:7: error[key.unknown] scenarios.0.repaet:"),
        (("end: ask", "end: aks"), "scenarios.yaml:15: error[scenarios.no_state] expect.end:"),
        (("answers: {sort:", "answers: {srot:"), "scenarios.yaml:19: error[scenarios.no_agent] answers:"),
        (("workflow: desk.yaml", "title: x"), "scenarios.yaml:5: error[key.unknown] title:"),
        (
            ("workflow: desk.yaml", ""),
            "scenarios.yaml:5: error[file.not_found] workflow: scenario 'a card is answered'",
        ),
    ],
)
def test_validate_knows_scenario_files(af: Af, folder: Path, change: tuple[str, str], told: str) -> None:
    """With their place, whether they lie where scenarios do or are seen to be such; and nothing runs."""
    text = SCENARIOS.replace(*change)
    if "title: x" in text:
        told = told.replace(":5:", ":3:")
    (folder / "others.yaml").write_text(text)
    for file in (written(folder, text), folder / "others.yaml"):
        told = told.replace("scenarios.yaml", file.name)
        said = af("validate", file)
        assert (0 if "fine" in told else 2, True) == (said.code, told in said.out), said
    assert [] == os.listdir(folder / "temporary")


def test_validate_checks_a_project_with_its_scenarios(af: Af, folder: Path) -> None:
    """What is wrong with the definition is told once; a folder of projects has those of each."""
    project = folder / "projects" / "desk"
    (project / "scenarios").mkdir(parents=True)
    desk = (folder / "desk.yaml").read_text()
    (project / "workflow.yaml").write_text(desk)
    for name in ("scenarios.yaml", "scenarios/more.yml"):
        (project / name).write_text(SCENARIOS.replace("workflow: desk.yaml\n", ""))
    said = af("validate", folder / "projects", "--json").document
    found = [(Path(each["file"]).name, each["kind"], each["valid"]) for each in said["files"]]  # type: ignore[attr-defined]
    assert [
        ("workflow.yaml", "workflow", True),
        ("scenarios.yaml", "scenarios", True),
        ("more.yml", "scenarios", True),
    ] == found
    assert 0 == af("test", project, "-k", "played").code
    (project / "workflow.yaml").write_text(desk.replace("prompt:", "promt:"))
    said = af("validate", project, "--json").document
    assert 1 == str(said).count("agents.sort.promt")


def test_what_a_killed_one_left_is_removed_at_the_next_start(af: Af, folder: Path) -> None:
    """And nothing of one that is at work, of one that was kept, or of anybody else."""
    from appliance.own_folder import made

    temporary = folder / "temporary"
    mine = f"agentflow-test-{os.getuid()}-"
    killed = temporary / f"{mine}4711-x"
    (killed / "logs").mkdir(parents=True)
    kept = [temporary / name for name in ("agentflow-kept-x", "agentflow-test-x", "agentflow-test-notes", "other")]
    for each in kept:
        each.mkdir()
    at_work = made(temporary, mine)
    assert at_work is not None
    assert 0 == af("test", written(folder, SCENARIOS), "-k", "played").code
    assert sorted([*kept, at_work[0]]) == sorted(temporary.iterdir())
    os.close(at_work[1])
    assert 0 == af("test", written(folder, SCENARIOS), "-k", "played").code
    assert sorted(kept) == sorted(temporary.iterdir())
