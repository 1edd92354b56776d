"""Where the encryption key comes from, and that it goes nowhere else."""

import traceback
from pathlib import Path

import pytest

from runtime.errors import AgentFlowError, Invalid, Unavailable
from runtime.store.key import Key, key_from

DIGITS = "0123456789abcdefABCDEF9876543210" * 2


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{DIGITS}\n")
    path.chmod(0o600)
    return path


def test_no_setting_is_no_key() -> None:
    """Encryption is a choice."""
    assert key_from({}) is None
    assert key_from({"AGENTFLOW_DB_KEY": "", "AGENTFLOW_DB_KEY_FILE": ""}) is None


def test_a_key_comes_from_the_environment_or_a_file(key_file: Path) -> None:
    """systemd hands over files, containers hand over variables."""
    for environment in ({"AGENTFLOW_DB_KEY": DIGITS}, {"AGENTFLOW_DB_KEY_FILE": str(key_file)}):
        key = key_from(environment)
        assert key is not None
        assert DIGITS == key.reveal()


def test_two_keys_are_refused(key_file: Path) -> None:
    """Nobody could say which one the file was made with."""
    with pytest.raises(Invalid, match=r"store\.two_keys"):
        key_from({"AGENTFLOW_DB_KEY": DIGITS, "AGENTFLOW_DB_KEY_FILE": str(key_file)})


@pytest.mark.parametrize("digits", ["secret", DIGITS[1:], DIGITS + "0", "g" + DIGITS[1:], " " + DIGITS[1:]])
def test_a_malformed_key_is_refused_and_not_shown(digits: str) -> None:
    """An error message ends in a log."""
    with pytest.raises(Invalid) as refused:
        key_from({"AGENTFLOW_DB_KEY": digits})
    assert "store.malformed_key" == refused.value.code
    assert digits not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(key_file: Path, mode: int) -> None:
    """It would protect from nobody on this machine."""
    key_file.chmod(mode)
    with pytest.raises(Unavailable, match=rf"store\.key_file_mode.*{mode:04o}.*chmod 600"):
        key_from({"AGENTFLOW_DB_KEY_FILE": str(key_file)})


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    """Going on without a key would write in the clear."""
    with pytest.raises(Unavailable, match=r"store\.no_key_file.*/nowhere cannot be read: No such file"):
        key_from({"AGENTFLOW_DB_KEY_FILE": str(tmp_path / "nowhere")})


def test_a_key_never_shows_itself() -> None:
    """Neither in a repr nor in a traceback that prints its locals."""
    key = Key(DIGITS)
    try:
        raise AgentFlowError("test.failed", "somewhere near a key", key=key)
    except AgentFlowError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert DIGITS not in shown + repr(key) + str(key)
