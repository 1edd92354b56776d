"""The real language model in its worker process: what it finds, and that nothing passes when it does not answer."""

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from redaction.findings import Finding
from redaction.names.host import NamesHost
from redaction.names.process import WorkerFailed, WorkerProcess
from redaction.presets import PRESETS
from redaction.redactor import Redactor
from redaction.segments import redact_payload
from runtime.domain.canonical import Json
from runtime.errors import Unavailable
from tests.redaction.workers import end_once_asked

ROOT = Path(__file__).parents[2]
KEY = b"0123456789abcdef0123456789abcdef"
TEXT = "Yesterday Xiulan Zhao flew to Chicago with Ngozi Adebayo on Monday."
"""No list of names explains the capital of the last word, so the model is asked."""
OTHERS = tuple(TEXT.replace("Yesterday", when) for when in ("Last week", "This morning", "In April"))
"""What is found in a text is remembered, so each test that ends a worker asks about another one."""


@pytest.fixture(scope="module")
def names() -> Iterator[NamesHost]:
    """One worker for the tests that do not end it."""
    host = NamesHost()
    host.start()
    yield host
    host.stop()


@pytest.fixture(scope="module")
def mortal() -> Iterator[NamesHost]:
    """One that tests end, with little patience; the next test gets the new one that the last one has made sure of."""
    host = NamesHost(timeout_s=3.0)
    yield host
    host.stop()


def values(text: str, found: list[Finding]) -> set[tuple[str, str]]:
    return {(text[each.start : each.end], each.type) for each in found}


def test_people_and_places_in_prose_are_found(names: NamesHost) -> None:
    """No form, no key and no label gives them away."""
    [found] = names.find([TEXT])
    expected = {("Xiulan Zhao", "PERSON"), ("Chicago", "LOCATION"), ("Ngozi Adebayo", "PERSON")}
    assert expected == values(TEXT, found)


def test_each_text_gets_its_own_finds(names: NamesHost) -> None:
    """One round trip serves many, in order, and what was seen before is known."""
    texts = [f"Ask Xiulan Zhao in Chicago about case {number}." for number in range(40)] + ["nothing here", TEXT]
    first = names.find(texts)
    assert first == names.find(texts)
    assert [2] * 40 == [len({each.start for each in found}) for found in first[:40]]
    assert [] == first[40]


def test_a_value_that_is_a_name_and_nothing_else_is_found(names: NamesHost) -> None:
    """A field of a form; a product's name is none."""
    texts = ["Elzbieta Schaaf", "Premium Plan", "Midnight Blue", "<b>Elzbieta Schaaf</b>"]
    assert [True, False, False, True] == [bool(found) for found in names.find(texts)]


def test_a_long_text_is_looked_through_to_its_end(names: NamesHost) -> None:
    """It is cut into pieces, and places are those of the whole."""
    text = "The order was late and nobody knew why it was. " * 400 + TEXT
    [found] = names.find([text])
    assert ("Ngozi Adebayo", "PERSON") in values(text, found)


def test_a_text_with_half_a_surrogate_pair_is_looked_through(names: NamesHost) -> None:
    """JSON can hold one, and it has no UTF-8."""
    text = "\ud800 Yesterday Xiulan Zhao flew to Chicago."
    [found] = names.find([text])
    assert ("Xiulan Zhao", "PERSON") in values(text, found)


def test_a_policy_that_wants_names_gets_them(names: NamesHost) -> None:
    """In texts, in payloads, and in what is encoded."""
    redactor = Redactor(PRESETS["strict"], KEY, names=names)
    assert "Yesterday [PERSON] flew to [LOCATION] with [PERSON] on Monday." == redactor.redact(TEXT).text
    payload: Json = {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 512}
    assert "Xiulan" not in json.dumps(redact_payload(redactor, payload).payload)
    assert "Xiulan" not in redactor.redact("q=Yesterday%20Xiulan%20Zhao%20flew%20to%20Chicago%20again").text


def test_a_policy_that_wants_names_refuses_to_do_without() -> None:
    """Fail closed; who wants patterns alone says so."""
    with pytest.raises(Unavailable, match=r"redaction\.unavailable"):
        Redactor(PRESETS["default"], KEY)
    assert TEXT == Redactor(PRESETS["default"].patterns_only(), KEY).redact(TEXT).text


def test_what_holds_no_name_needs_no_worker() -> None:
    """Most texts; and where no worker can be started they still pass."""
    host = NamesHost()
    assert [[], []] == host.find(["the order 4711 is late", "max_tokens=512"])
    assert [] == host.pids


def test_a_worker_that_is_killed_lets_nothing_pass(mortal: NamesHost) -> None:
    """The call in hand fails, the next one gets a new worker."""
    redactor = Redactor(PRESETS["default"], KEY, names=mortal)
    mortal.start()
    [pid] = mortal.pids
    end_once_asked(pid, signal.SIGKILL)
    failed = _failure_of(redactor, OTHERS[0])
    assert "redaction.unavailable" == failed.code
    assert "Xiulan" not in str(failed)
    assert "Xiulan" not in redactor.redact(OTHERS[0]).text
    assert pid not in mortal.pids


def test_a_worker_that_hangs_is_ended_and_lets_nothing_pass(mortal: NamesHost) -> None:
    """A stopped process answers nothing and holds its pipes open."""
    redactor = Redactor(PRESETS["default"], KEY, names=mortal)
    mortal.start()
    [pid] = mortal.pids
    os.kill(pid, signal.SIGSTOP)
    failed = _failure_of(redactor, OTHERS[1])
    assert ("redaction.unavailable", True) == (failed.code, failed.retryable)
    assert "did not answer in time" in failed.message
    assert not Path(f"/proc/{pid}").exists()
    assert "Xiulan" not in redactor.redact(OTHERS[1]).text


def test_a_worker_that_died_between_two_calls_costs_nobody_an_error(mortal: NamesHost) -> None:
    """It is no fault of the next call."""
    mortal.start()
    [pid] = mortal.pids
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ("Chicago", "LOCATION") in values(OTHERS[2], mortal.find([OTHERS[2]])[0])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("garbage", "what is no answer"),
        ("[7,[],'']", "what is no answer"),
        ('[7,[],""]', "another question"),
        ('[1,[],""]', "does not fit"),
        ('[1,[[[0,9999,"PERSON"]]],""]', "does not fit"),
        ('[1,[[[0,1,"EMAIL"]]],""]', "does not fit"),
        ('[1,[],"MemoryError in model.py:1"]', "MemoryError"),
        ("", "ended with status 0"),
    ],
)
def test_an_answer_that_is_none_is_not_believed(answer: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an answer would let half the names pass."""
    script = (
        f"print('[0,[],\"\"]', flush=True); input(); print({answer!r}, end='\\n' if {answer!r} else '', flush=True)"
    )
    monkeypatch.setattr("redaction.names.process._command", lambda: [sys.executable, "-c", script])
    worker = WorkerProcess()
    try:
        worker.wait_ready(30)
        with pytest.raises(WorkerFailed, match=reason):
            worker.find(("Xiulan Zhao",), 30)
    finally:
        worker.close()


def test_a_model_that_does_not_load_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is missing is named; nothing is fetched."""
    from redaction.names import process

    paths = [str(ROOT)]  # ours alone, no libraries
    real = process._command()
    monkeypatch.setattr(process, "_command", lambda: [*real[:-2], json.dumps([*paths, *_standard()]), real[-1]])
    host = NamesHost()
    with pytest.raises(Unavailable, match=r"ended with status|ModuleNotFoundError"):
        host.start()
    host.stop()


def test_many_threads_share_the_worker(names: NamesHost) -> None:
    """The guard works on several runs at once."""
    found: list[bool] = []

    def look(number: int) -> None:
        text = f"In ticket {number} Xiulan Zhao writes to us."
        found.append(("Xiulan Zhao", "PERSON") in values(text, names.find([text])[0]))

    threads = [threading.Thread(target=look, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [True] * 12 == found


def test_a_loop_goes_on_while_the_model_reads(names: NamesHost) -> None:
    """The work is in another process: the caller's thread only waits."""

    async def both() -> tuple[int, list[list[Finding]]]:
        looking = asyncio.create_task(asyncio.to_thread(names.find, [f"{n} Xiulan Zhao is here." for n in range(300)]))
        turns = 0
        while not looking.done():
            await asyncio.sleep(0)
            turns += 1
        return turns, await looking

    turns, found = asyncio.run(both())
    assert 300 == len(found)
    assert turns > 10


def test_a_worker_gets_nothing_of_our_environment_and_ends_with_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and settings are none of its business; a stopped host finds nothing more, and leaves no process behind."""
    monkeypatch.setenv("AGENTFLOW_KEY", "secret")
    host = NamesHost()
    host.start()
    [pid] = host.pids
    try:
        variables = Path(f"/proc/{pid}/environ").read_text()
    finally:
        host.stop()
    assert "AGENTFLOW" not in variables
    assert "OMP_NUM_THREADS=1" in variables
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(Unavailable, match="was stopped"):
        host.find([TEXT])


def test_a_host_that_was_stopped_is_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    """A command that ends at once stops a worker that is still starting, and an operator need not read of it."""
    host = NamesHost()
    host.stop()
    with pytest.raises(Unavailable, match="was stopped"):
        host.start()
    assert [] == [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_the_worker_ends_with_its_parent() -> None:
    """Though it was killed and could not say good-bye."""
    script = (
        "from redaction.names.host import NamesHost; h = NamesHost(); h.start(); print(h.pids[0], flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    ended, _, _ = select.select([worker], [], [], 60)
    os.close(worker)
    assert ended


def test_nothing_is_looked_up_or_connected_to() -> None:
    """presidio's e-mail recogniser fetches a list of domains unless it is told not to."""
    script = """
import json, os, sys
seen = []
LEAVING = ("connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr")
sys.addaudithook(lambda event, _: seen.append(event) if event.removeprefix("socket.") in LEAVING else None)
from redaction.names.model import NameModel
model = NameModel()
model.load()
found = model.find(["Yesterday Xiulan Zhao wrote from x@example.org about Chicago."])
import tldextract
from presidio_analyzer.predefined_recognizers import EmailRecognizer
EmailRecognizer().analyze("write to x@example.co.uk", ["EMAIL_ADDRESS"])
print(json.dumps([len(found[0]), seen]))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert [2, []] == json.loads(ran.stdout)


def test_it_comes_up_without_any_network() -> None:
    """In a network namespace that has not even a loopback."""
    script = (
        "from redaction.names.host import NamesHost\nhost = NamesHost()\nhost.start()\n"
        "print(bool(host.find(['Please call Xiulan Zhao now.'])[0]))\nhost.stop()"
    )
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this kernel gives no network namespace")
    command = ["unshare", "-rn", sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (0, "True") == (ran.returncode, ran.stdout.strip()), ran.stderr


def _failure_of(redactor: Redactor, text: str) -> Unavailable:
    """What redacting a text raises."""
    with pytest.raises(Unavailable) as raised:
        redactor.redact(text)
    return raised.value


def _standard() -> list[str]:
    return [path for path in sys.path if path.startswith(sys.base_prefix) and "site-packages" not in path]
