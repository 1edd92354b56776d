"""What would only break on somebody else's machine."""

import re
import tomllib

from tests.architecture.source import PACKAGES, ROOT

LOCKS = sorted((ROOT / "packaging").glob("*.lock"))


def test_packaging_is_a_plain_folder() -> None:
    """As a package it would shadow the library of the same name, and everything importing that would die."""
    assert not (ROOT / "packaging" / "__init__.py").exists()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*PACKAGES, "agentflow.py"} == set(wheel["only-include"])


def test_locks_pin_every_file_by_hash() -> None:
    """A name and a version are what an index says they are; a hash is not."""
    assert LOCKS != []
    for lock in LOCKS:
        entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", lock.read_text()).strip())
        assert [] == [entry.split()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]


def test_locks_name_no_host() -> None:
    """Where packages come from is the installer's business: an index, a mirror or a stick."""
    hosts = re.compile(r"(?im)^.*(?:://|--(?:extra-)?index-url|--find-links|@ file:).*$")
    assert [] == [(lock.name, line) for lock in LOCKS for line in hosts.findall(lock.read_text())]


def test_the_runtime_lock_carries_no_hub_client() -> None:
    """An appliance that runs with the cable out has no use for a downloader, and an auditor has questions about one."""
    assert "huggingface" not in (ROOT / "packaging/requirements.lock").read_text()
