"""Reports of the proof: what makes one pass, and that a change of it shows."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli import egress_report
from redaction.airgap.layers import AirGap, Layer
from redaction.airgap.proof import Check, Probe, Proof
from redaction.doors.attempts import TIMED_OUT, attempt
from runtime.domain.canonical import Json
from runtime.errors import Corrupt, Invalid, NotFound, Refused

REPORT: dict[str, Json] = {"made_at": "2026-11-25T18:23:36.633386Z", "ok": True, "verdict": "sealed", "probes": [1.5]}
HOLDS = Layer("network", "holds", "")


def proof(*, layers: tuple[Layer, ...] = (HOLDS,), **changes: object) -> Proof:
    whole = Proof(layers, (Check("routes", True, ""),), (Probe("python", "tcp", "x", "EACCES", 0.1),), "")
    return msgspec.structs.replace(whole, **changes)


def probe(error: str, took_ms: float = 0.1, accepts: tuple[str, ...] = ()) -> Probe:
    return Probe("python", "dns", "x.invalid", error, took_ms, accepts)


@pytest.mark.parametrize(
    ("tried", "expected"),
    [
        (probe("EPERM"), True),
        (probe("EACCES"), True),
        (probe("ENETUNREACH"), True),
        (probe(""), False),
        (probe(TIMED_OUT, 50.0), False),
        (probe("ECONNREFUSED"), False),
        (probe("EAI_NONAME"), False),
        (probe("EAI_AGAIN", accepts=("EAI_AGAIN",)), True),
        (probe("EPERM", 50.1), False),
    ],
)
def test_a_refusal_is_one_of_the_kernels_and_at_once(tried: Probe, expected: bool) -> None:
    """A refused connection, a name that does not exist and a time-out are answers of somebody outside."""
    assert expected is tried.is_refused


def test_a_verdict_is_no_better_than_its_worst_part() -> None:
    """`sealed` is said where everything holds, was tried and was refused, and the control works."""
    assert "sealed" == proof().verdict
    assert "open" == proof(probes=(probe("EPERM"), probe(""))).verdict
    assert "open" == proof(checks=(Check("UNIX sockets", False, "", is_opening=True),)).verdict
    assert "untested" == proof(checks=(Check("routes", False, ""),)).verdict
    assert "untested" == proof(checks=(Check("open sockets", None, ""),)).verdict
    assert "untested" == proof(layers=(HOLDS, Layer("landlock", "partial", ""))).verdict
    assert "untested" == proof(control="loopback does not work").verdict
    assert "untested" == proof(untried=("a listener",)).verdict
    assert "untested" == proof(probes=()).verdict


def test_a_gap_is_sealed_when_every_wall_holds() -> None:
    """And off without any, which an empty list must not pass for."""
    assert "off" == AirGap(()).status
    assert "sealed" == AirGap((HOLDS,)).status
    assert ("degraded", ("landlock",)) == (
        AirGap((HOLDS, Layer("landlock", "missing", ""))).status,
        tuple(layer.name for layer in AirGap((HOLDS, Layer("landlock", "missing", ""))).gaps),
    )


def test_what_goes_out_is_not_tried_again() -> None:
    """One packet is a finding; three are two too many."""
    calls: list[int] = []
    tried = attempt("python", "tcp", "x", lambda: calls.append(1))
    assert ("", 1) == (tried["error"], len(calls))

    def waits() -> None:
        calls.append(1)
        raise TimeoutError

    assert (TIMED_OUT, 2) == (attempt("python", "tcp", "x", waits)["error"], len(calls))


def test_a_report_is_verified_and_a_changed_one_is_not(tmp_path: Path) -> None:
    """Whoever gets it later wants to know whether somebody made it nicer."""
    path = egress_report.keep(tmp_path, REPORT)
    assert REPORT == egress_report.verify(tmp_path, path).report
    path.write_text(path.read_text().replace('"sealed"', '"open"'))
    with pytest.raises(Corrupt, match="was changed after it was signed"):
        egress_report.verify(tmp_path, path)


@given(st.data())
def test_no_change_of_a_report_goes_unseen(data: st.DataObject) -> None:
    """Any value in the place of any other gives another signature."""
    key = b"k" * 32
    field = data.draw(st.sampled_from(sorted(REPORT)))
    changed = REPORT | {field: data.draw(st.text() | st.integers(0, 9) | st.booleans())}
    same = changed == REPORT and type(changed[field]) is type(REPORT[field])
    assert same is (egress_report.sign(changed, key).signature == egress_report.sign(REPORT, key).signature)


def test_another_appliances_report_is_told_apart(tmp_path: Path) -> None:
    """It may be a good one; this data folder cannot say."""
    path = egress_report.keep(tmp_path / "one", REPORT)
    egress_report.keep(tmp_path / "two", REPORT)
    with pytest.raises(Invalid, match="was signed with key"):
        egress_report.verify(tmp_path / "two", path)
    with pytest.raises(NotFound, match=r"report\.key"):
        egress_report.verify(tmp_path / "none", path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00", b'{"report": {}, "signature": 1}', b"[" * 100_000])
def test_what_is_no_report_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    """A wrong file, with a message and no traceback."""
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(Invalid, match=r"no report of af doctor --egress"):
        egress_report.verify(tmp_path, file)
    with pytest.raises(NotFound, match="cannot read"):
        egress_report.verify(tmp_path, tmp_path / "nothing")


def test_a_key_that_others_may_read_signs_nothing(tmp_path: Path) -> None:
    """Its signature would prove nothing."""
    egress_report.keep(tmp_path, REPORT)
    key = tmp_path / egress_report.KEY_FILE
    assert 0o600 == key.stat().st_mode & 0o777
    key.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        egress_report.keep(tmp_path, REPORT)
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(Corrupt, match="holds 5 bytes"):
        egress_report.keep(tmp_path, REPORT)
