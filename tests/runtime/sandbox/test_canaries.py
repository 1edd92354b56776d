"""What counts as proof that a limit counts all processes together: here of drivers that only say what happened."""

import pytest

from runtime.domain.exec_profile import ExecProfile, Outcome
from runtime.sandbox import canaries, programs


@pytest.mark.parametrize(
    ("said", "killed_for", "is_held"),
    [
        (b"alive\n1\n", "", True),
        (b"alive\n2\n", "", True),
        (b"alive\n", "memory", True),
        (b"alive\n3\n", "", False),
        (b"alive\n4\n", "", False),
        (b"alive\n0\n", "", False),  # none of them even got its memory
        (b"alive\n", "time", False),
        (b"", "", False),
    ],
)
async def test_memory_is_held_when_most_that_live_at_once_are_too_many(
    said: bytes, killed_for: str, is_held: bool
) -> None:
    async def run(profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        is_heavy = b"bytearray" in program
        return Outcome(
            exit_code=0, stdout=said if is_heavy else b"", stderr=b"", killed_for=killed_for if is_heavy else ""
        )

    assert is_held == ("mem_total" in await canaries.held_together(run))


def test_a_status_is_a_signal_only_where_there_is_such_a_signal() -> None:
    assert [0, 1, 128, -1, -9, -64, 193, 255] == [
        programs.exit_code(each) for each in (0, 1, 128, 129, 137, 192, 193, 255)
    ]


async def test_a_program_that_its_memory_ended_did_not_get_more() -> None:
    """An engine kills where other sandboxes say no: nothing is printed behind that."""

    async def run(profile: ExecProfile, program: bytes, stdin: bytes) -> Outcome:
        said = f"{canaries._ALIVE}\npids False\n".encode() if b"tried" in program else b""
        return Outcome(exit_code=-9, stdout=said, stderr=b"", killed_for="memory" if said else "")

    assert {"pids", "mem_total"} <= set(await canaries.held(run))
