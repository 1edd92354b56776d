"""API keys: made once, kept as hashes, private."""

import json
from pathlib import Path

import pytest

from appliance.auth.api_keys import KeyRing, new_key, open_keys
from runtime.errors import Corrupt, Refused, Unavailable

NOW_US = 1_767_225_600_000_000


def test_the_first_start_makes_one_key(tmp_path: Path) -> None:
    """Secure by default: there is no time at which anybody may call."""
    folder = tmp_path / "auth"
    ring, first = open_keys(folder, now_us=NOW_US)
    assert first == folder / "first.key"
    key = first.read_text().strip()
    assert key.startswith("af_")
    assert len(key) == 3 + 52, "32 random bytes in base32"
    assert ring.owner(key) == "first"
    assert ring.owner(key + "x") is ring.owner("") is None


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """And what is kept for good cannot be turned back into the key."""
    folder = tmp_path / "auth"
    _, first = open_keys(folder, now_us=NOW_US)
    assert first is not None
    kept = (folder / "keys.json").read_text()
    assert first.read_text().strip() not in kept
    assert json.loads(kept)[0]["created_at"] == "2026-01-01T00:00:00.000000Z"
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in (folder, *folder.iterdir())}
    assert modes == {"auth": "700", "keys.json": "600", "first.key": "600"}


def test_later_starts_keep_the_key(tmp_path: Path) -> None:
    """Also once its owner has deleted the clear text, which is not written again."""
    _, first = open_keys(tmp_path, now_us=NOW_US)
    assert first is not None
    key = first.read_text().strip()
    first.unlink()
    ring, made = open_keys(tmp_path, now_us=NOW_US)
    assert (ring.owner(key), made, first.exists()) == ("first", None, False)


def test_keys_that_others_may_read_are_not_used(tmp_path: Path) -> None:
    """Somebody may have put a hash of their own in; the message says how to mend it."""
    open_keys(tmp_path, now_us=NOW_US)
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        open_keys(tmp_path, now_us=NOW_US)


@pytest.mark.parametrize(
    "content", ["", "{}", "[{}]", '[{"name": "x", "sha256": "y", "created_at": "z", "admin": true}]']
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: str) -> None:
    """Making a new key instead would lock out whoever holds the old one without a word."""
    open_keys(tmp_path, now_us=NOW_US)
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(Corrupt, match=r"keys\.json"):
        open_keys(tmp_path, now_us=NOW_US)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Instead of a trace from the depths."""
    (tmp_path / "auth").write_text("a file")
    with pytest.raises(Unavailable, match="auth"):
        open_keys(tmp_path / "auth", now_us=NOW_US)


def test_no_two_keys_are_alike() -> None:
    """And an empty ring opens for none."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {None} == {KeyRing(()).owner(key) for key in keys}
