"""What a log keeps of a record: no secret, nobody's data where that is wanted, nothing that was not looked at."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli import logbook
from appliance.cli.context import Af
from appliance.telemetry.log_redaction import LEFT_OUT, MAX_CHARS, LogRedaction
from redaction.doors.http import HttpDoor, destination_of
from redaction.guard import Guard
from redaction.persist import ONE_WAY, SECRETS
from redaction.policy import EgressPolicy
from redaction.presets import PRESETS, RedactionPolicy
from runtime.domain.egress import Destination, Outbound
from runtime.domain.http import HttpRequest
from tests.models.stand_in import stand_in

MAIL = "anna.kovacs@example.com"
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2


class Logged:
    """An invocation's log, and what it wrote."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._af = Af()
        self._af.data = data

    def open(self, config: str) -> logging.Logger:
        self._data.mkdir(exist_ok=True)
        (self._data / "config.yaml").write_text(config)
        logbook.open_log(self._af)
        return logging.getLogger("test.redacted")

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self._data / "logs" / "af.log").read_text().splitlines()]


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Logged]:
    logbook.close_log()  # a command that another test ran may have left it open
    yield Logged(tmp_path / "data")
    logbook.close_log()


def test_no_record_holds_a_secret_though_nothing_was_set(logged: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """A log is copied into tickets and chats; a token in it is a token for everybody."""
    log = logged.open("")
    log.warning("the key is %s of %s", SECRET, MAIL, extra={"authorization": f"Bearer {SECRET}", "run": "r-1"})
    (line,) = logged.lines()
    assert SECRET not in json.dumps(line)
    assert MAIL in str(line["message"])
    assert "r-1" == line["run"]
    assert SECRET not in capsys.readouterr().err


async def test_the_library_that_sends_logs_no_address(logged: Logged) -> None:
    """A query may name a customer, and each call of a model would be a line."""
    log = logged.open("log_level: debug\n")
    async with stand_in() as server:
        door = HttpDoor()
        url = f"{server.url}/models?mail={MAIL}"
        outbound = Outbound(
            destination=Destination("http", "site", destination_of(url)), payload=HttpRequest(method="GET", url=url)
        )
        await door.send(await Guard(EgressPolicy(redaction=(("*", None),))).clear(outbound))
        await door.stop()
    log.warning("sent")
    assert ["sent"] == [line["message"] for line in logged.lines()]


def test_a_log_forgets_its_pseudonyms_in_time() -> None:
    """A server runs for months, and every value that it ever logged would stay in memory."""
    kept = LogRedaction(lambda: PRESETS["phi"], values=3)
    written = [kept.text(f"from u{number}@example.com") for number in range(7)]
    assert ["<EMAIL_1", "<EMAIL_2", "<EMAIL_3"] * 2 + ["<EMAIL_1"] == [each.split()[1][:8] for each in written]
    assert 7 == len(set(written))


def test_no_record_holds_a_persons_data_when_minimising(logged: Logged, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages, fields and tracebacks alike."""
    log = logged.open("minimise: on\n")
    try:
        raise ValueError(f"no customer {MAIL}")
    except ValueError:
        log.exception("cannot write to %s", MAIL, extra={"customer": {"mail": MAIL}, "iban": "GB29NWBK60161331926819"})
    (line,) = logged.lines()
    text = json.dumps(line)
    assert MAIL not in text
    assert "GB29NWBK" not in text
    assert "cannot write to [EMAIL]" == line["message"]
    assert "ValueError: no customer [EMAIL]" in str(line["traceback"])
    assert "test_log_redaction.py" in str(line["traceback"])
    assert MAIL not in capsys.readouterr().err


def test_a_policy_of_the_settings_is_the_one_that_counts(logged: Logged) -> None:
    """An operator of a test site may want to see addresses, also where the journal is minimised."""
    log = logged.open("minimise: on\nredaction: {persist/log: secrets-only}\n")
    log.error("%s said password=hunter2-Xy9!", MAIL)
    assert MAIL in str(logged.lines()[0]["message"])
    assert "hunter2" not in str(logged.lines()[0]["message"])


def test_settings_that_cannot_be_read_replace_everything(logged: Logged) -> None:
    """Nobody knows what was wanted, so the most careful way is taken, and the record still says what is wrong."""
    log = logged.open("minimise: [\n")
    log.error("cannot serve %s", MAIL)
    assert "cannot serve [EMAIL]" == logged.lines()[0]["message"]


def test_a_record_that_cannot_be_looked_through_is_left_out() -> None:
    """A deep value, or a redactor that fails, must not open a way around."""
    deep: object = MAIL
    for _ in range(500):
        deep = [deep]
    assert {"deep": LEFT_OUT} == LogRedaction(lambda: ONE_WAY).fields({"deep": deep})
    broken = LogRedaction(lambda: ONE_WAY)
    broken.text("warm")
    broken._redactor.policy = None  # type: ignore[union-attr]  # nobody can cause it from outside
    assert LEFT_OUT == broken.text(MAIL)


def test_what_a_policy_blocks_is_left_out_and_the_record_stays() -> None:
    """That something happened is worth knowing, also where its words are not."""
    assert LEFT_OUT == LogRedaction(lambda: PRESETS["strict"]).text("password=hunter2-Xy9!")


@pytest.mark.parametrize("policy", [ONE_WAY, SECRETS])
def test_what_a_log_is_read_for_stays(policy: RedactionPolicy) -> None:
    """A log in which codes, runs and paths are replaced mends nothing."""
    message = (
        "run r-01kdvdna000000000000000001 is held up: store.full: /var/lib/agentflow/journal.db takes no more; "
        "agent 'answer' of step draft~2 took 12.5 s, sha256:9f86d081884c7d65 max_tokens=256"
    )
    assert message == LogRedaction(lambda: policy).text(message)


def test_a_long_text_keeps_its_end() -> None:
    """The last lines of a traceback say what went wrong; looking through all of a huge one would cost seconds."""
    text = LogRedaction(lambda: ONE_WAY).text("word " * MAX_CHARS + "KeyError: the end")
    assert text.endswith("KeyError: the end")
    assert len(text) < MAX_CHARS + 100


def test_what_utf_8_cannot_hold_is_written_in_some_way() -> None:
    """A broken name of a file must not cost the line."""
    assert "no file a?b" == LogRedaction(lambda: ONE_WAY).text("no file a\udcffb")
