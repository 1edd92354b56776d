"""Each template's scenarios, run as `af` runs them; what a chat model would say is played."""

import base64
import importlib.util
import os
import re
import shutil
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from appliance import loader
from appliance.cli.templates import HIDDEN
from appliance.config.settings import load_settings
from appliance.runs.views import RunView, run_view
from appliance.scenarios.format import FILE, Scenario
from appliance.scenarios.reading import read_suite
from appliance.scenarios.running import Bench
from appliance.scenarios.tally import DatasetResult
from appliance.wiring import Appliance
from appliance.workflows import TEMPLATES
from models.catalog import EMBEDDING_MODEL
from models.folder import missing
from runtime.domain.canonical import Json

MODELS = load_settings(None, os.environ).models_folder  # read at import: the data folder of each test is elsewhere
in_one_loop = pytest.mark.asyncio(loop_scope="module")
LOCAL = "{provider: local, name: smollm2-135m-instruct, temperature: 0, max_tokens: 60}"
CHOICE = '{"json": {"strategy": "STRATEGY", "rollout_percentage": 50, "monitoring_duration": "5m"}}'


def one_of_each(known: Sequence[Scenario]) -> list[Scenario]:
    """One scenario of each path: the others differ in what a model answers."""
    return list({each.expect.path: each for each in known}.values())


def project(template: str, folder: Path, change: Callable[[str], str] = str) -> Path:
    """A copy of the template, its workflow changed."""
    copy = folder / template
    shutil.copytree(TEMPLATES / template, copy, ignore=HIDDEN)
    file = copy / "workflow.yaml"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    return copy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def appliance(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Appliance]:
    """One for all: its models take seconds to get ready."""
    data = tmp_path_factory.mktemp("templates") / "data"
    started = Appliance(load_settings(data, {"AGENTFLOW_MODELS": str(MODELS)}), what="tests")
    await started.start(recover=False)
    yield started
    await started.stop()


async def ran(appliance: Appliance, folder: Path, inputs: Sequence[Json]) -> list[RunView]:
    """The runs of these inputs, one after another, so that they share workers."""
    workflow = await appliance.workflows.keep(loader.load(folder))
    runs = []
    for each in inputs:
        run = await appliance.engine.submit(workflow, each, actor="tests")
        runs.append(run_view(await appliance.engine.wait(run), workflow))
    return runs


async def unlike(appliance: Appliance, folder: Path, scenarios: Sequence[Scenario] = ()) -> list[str]:
    """What the scenarios of a project have otherwise than they expect; `scenarios`: some of them."""
    known = scenarios or read_suite(folder / FILE).scenarios
    assert known, "a template that is checked has scenarios"
    results = [result async for result in Bench(appliance).results(known)]
    return [
        f"{result.scenario.name}: {each.at} is {each.found}, not {each.expected}"
        for result in results
        for each in result.attempts[0].differences
    ]


def needs(*models: str) -> None:
    """Skip where a local model is not here."""
    absent = missing(MODELS, models)
    if absent:
        pytest.skip(f"no {' and no '.join(absent)} in {MODELS}; run: make setup")


# --- devops-deployment


def choosing(strategy: str) -> Callable[[str], str]:
    played = f"{{provider: scripted, answers: [{CHOICE.replace('STRATEGY', strategy)}]}}"

    def change(text: str) -> str:
        assert LOCAL in text
        return text.replace(LOCAL, played)

    return change


@in_one_loop
async def test_deployments_end_where_their_scenarios_say(appliance: Appliance, tmp_path: Path) -> None:
    """Each way back of the machine is gone once: a build refused, staging and production rolled back, tests failed."""
    folder = project("devops-deployment", tmp_path, choosing("rolling"))
    assert [] == await unlike(appliance, folder)
    ends = {each.expect.path[-1] for each in read_suite(folder / FILE).scenarios if each.expect.path}
    assert {"notify_failure", "notify_test_failure", "rollback_staging", "rollback_production"} < ends


def test_the_deployment_in_python_is_the_one_in_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash, so that a run of one is a run of the other."""
    folder = TEMPLATES / "devops-deployment"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("tools", "deployment"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("deployment", folder / "deployment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checked = module.create_deployment_workflow().check()
    monkeypatch.delitem(sys.modules, "tools")
    assert () == tuple(checked.problems)
    assert loader.load(folder).hash == checked.workflow.hash


@pytest.mark.parametrize(
    ("chosen", "risk", "room", "traffic", "settled"),
    [
        ("rolling", 0.1, True, "low", ("rolling", 50)),
        ("rolling", 0.1, True, "peak", ("canary", 10)),
        ("blue_green", 0.1, True, "peak", ("blue_green", 100)),
        ("blue_green", 0.1, False, "low", ("canary", 10)),
        ("blue_green", 0.9, True, "low", ("canary", 10)),
        ("canary", 0.1, True, "low", ("canary", 25)),
        ("canary", 0.9, True, "low", ("canary", 10)),
        (None, 0.1, True, "low", ("canary", 10)),
    ],
)
def test_what_the_model_chose_is_kept_where_the_facts_allow_it(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, risk: float, room: bool, traffic: str, settled: tuple[str, int]
) -> None:
    """A small model chooses badly at times: then the deployment is slower, and no more dangerous."""
    agents = handlers("devops-deployment", "agents.py", monkeypatch)

    class Tools:
        def tool(self, name: str, arguments: dict[str, Json]) -> dict[str, Json]:
            found: dict[str, dict[str, Json]] = {
                "analyze_git_diff": {"risk": risk},
                "check_service_health": {"health": "healthy", "spare_capacity": room, "running": "a:1"},
                "estimate_traffic": {"level": traffic},
            }
            return found[name]

    choice = chosen and {"strategy": chosen, "rollout_percentage": 50, "monitoring_duration": "5m"}
    task = {"service": "a", "git_diff": "", "current_load": 1, "chosen": choice}
    found = agents.settle_strategy(task, Tools())
    assert settled == (found["strategy"], found["rollout_percentage"])


# --- content-pipeline


COPIED = "Wipe the chain with a dry cloth after every wet ride."
OWN = "Here is what helps."
SAID = (f'{{"^Oil on a chain$": "{COPIED}", "^(?!Oil on a chain$)": "{OWN}"}}', f'{{"": "{OWN}"}}')
"""By the writer, and by the editor."""


@in_one_loop
async def test_posts_pass_the_gates_or_come_back(appliance: Appliance, tmp_path: Path) -> None:
    """A draft that copies is sent back once, and told which words; the scenarios hold beside it."""
    needs(EMBEDDING_MODEL)
    local, said = re.compile(r"\{provider: local, name: smollm2[^}]*\}"), iter(SAID)
    played = "{{provider: scripted, answers: {}}}"
    folder = project("content-pipeline", tmp_path, lambda text: local.sub(lambda _: played.format(next(said)), text))
    assert [] == await unlike(appliance, folder, one_of_each(read_suite(folder / FILE).scenarios))
    (copied,) = await ran(appliance, folder, [{"topic": "Oil on a chain"}])
    work = ("writer", "editor", "seo_optimizer", "plagiarism_check")
    assert ["researcher", *work, *work, "brand_voice_check", "done"] == [str(each) for each in copied.path]
    refused = next(step.result for step in copied.steps if step.step == "plagiarism_check")
    assert isinstance(refused, dict)
    assert "wipe the chain with a" in str(refused["feedback"])


def test_what_a_gate_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotations are nobody's copy; each rule of the voice that is broken costs its share."""
    gates = handlers("content-pipeline", "gates.py", monkeypatch)
    assert 1 == gates.plagiarism_check(f"# Oil\n\n“{COPIED}”\n\nThat is all that there is to say.", None)["score"]
    assert 0 == gates.plagiarism_check(COPIED, None)["score"]
    assert 1 == gates.brand_voice_check("# Oil\n\nOil is good for a chain.", None)["score"]
    loud = gates.brand_voice_check("# The ultimate oil\n\nOil is good for a chain!", None)
    assert (0.5, True) == (loud["score"], "do not say ultimate; use no exclamation marks" in loud["feedback"])
    texts = handlers("content-pipeline", "texts.py", monkeypatch)
    assert ["It costs 0.75 percent.", "Is it?", "“Yes.”"] == texts.sentences("It costs 0.75 percent. Is it? “Yes.”")
    assert (
        texts.flesch("The cat sat on the mat.") > 100 > 30 > texts.flesch("Institutional investors capitalise on it.")
    )


# --- fraud-detection


@in_one_loop
async def test_payments_are_decided_as_their_scenarios_say(appliance: Appliance, tmp_path: Path) -> None:
    """Approved at once, approved after the additional checks, flagged by score, by rule, and for want of a history."""
    folder = project("fraud-detection", tmp_path, lambda text: text.replace("timeout: 2s ", "timeout: 60s "))
    assert [] == await unlike(appliance, folder)
    assert "2s" == timeout_of("fraud-detection")


def timeout_of(template: str) -> str:
    text = (TEMPLATES / template / "workflow.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["workflow"]["timeout"])


# --- content-moderation


@in_one_loop
async def test_posts_are_moderated_as_their_scenarios_say(appliance: Appliance, tmp_path: Path) -> None:
    """Approved, banned, or shown to a person, who has the last word."""
    needs(EMBEDDING_MODEL)
    folder = project("content-moderation", tmp_path)
    assert [] == await unlike(appliance, folder)
    (dataset,) = read_suite(folder / FILE).datasets
    results = [result async for result in Bench(appliance).results(dataset.rows, jobs=2)]
    assert DatasetResult(dataset=dataset, results=tuple(results)).accuracy >= dataset.min_accuracy


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Write to ada@example.org, please.", ["email"]),
        ("Call 030 1234 5678 or +44 20 7946 0199.", ["phone"]),
        ("DE89 3704 0044 0532 0130 00", ["iban"]),
        ("DE89 3704 0044 0532 0130 01 fails its check", []),
        ("4111 1111 1111 1111", ["card"]),
        ("4111 1111 1111 1112 fails its check", []),
        ("In 2026 it cost 1,299.00 and 3 of 4 bought it.", []),
    ],
)
def test_personal_data_is_found_by_its_form_and_its_check(
    monkeypatch: pytest.MonkeyPatch, text: str, kinds: list[str]
) -> None:
    found = handlers("content-moderation", "checks.py", monkeypatch).pii({"text": text}, None)
    assert {"pii_found": bool(kinds), "kinds": kinds} == found


@pytest.mark.parametrize("kind", range(5))
def test_pictures_are_read_whatever_their_filter(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """PNG has five of them; a wrong one turns a harmless picture red."""
    pictures = handlers("content-moderation", "pictures.py", monkeypatch)
    width, height = 5, 4
    wanted = [(7 * x + 40 * y, 250 - 9 * x, (x * y * 31) % 256) for y in range(height) for x in range(width)]
    rows = [bytes(value for pixel in wanted[y * width :][:width] for value in pixel) for y in range(height)]
    before = bytes(width * 3)
    raw = b""
    for row in rows:
        left = bytes(3) + row[:-3]
        corner = bytes(3) + before[:-3]
        guess = (bytes(len(row)), left, before, bytes((a + b) // 2 for a, b in zip(left, before, strict=True)))
        paeth = bytes(pictures.paeth(*each) for each in zip(left, before, corner, strict=True))
        guessed = (*guess, paeth)[kind]
        raw += bytes([kind]) + bytes((a - b) % 256 for a, b in zip(row, guessed, strict=True))
        before = row
    assert wanted == pictures.decoded(png(raw, width, height))


def test_what_is_no_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be read, is cut off, or unfolds to more than it says."""
    pictures = handlers("content-moderation", "pictures.py", monkeypatch)
    whole = png(bytes(4 * 16), 5, 4)
    assert {(0, 0, 0)} == set(pictures.decoded(whole))
    for wrong in ("", "no base64!", "bm8gcGljdHVyZQ==", whole[:60], png(bytes(10), 5, 4), png(b"", 60_000, 60_000)):
        with pytest.raises(pictures.BadPicture):
            pictures.nsfw_detector(wrong)


def png(raw: bytes, width: int, height: int) -> str:
    """A PNG of eight bits a channel with these filtered rows, in Base64."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(body)).decode()


def handlers(template: str, file: str, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]  # a module
    """A template's own Python, loaded by itself."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(TEMPLATES / template))
    spec = importlib.util.spec_from_file_location(f"template_{file[:-3]}", TEMPLATES / template / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
