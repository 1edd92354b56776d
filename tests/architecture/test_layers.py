"""The import contracts of pyproject.toml, and what static contracts cannot see: imports made at run time."""

import json
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT

HEAVY = {"granian", "httpx", "jinja2", "litestar", "llama_cpp", "numpy", "onnxruntime", "presidio_analyzer"}
HEAVY |= {"textual", "tokenizers", "uvloop"}

LIGHT_STARTS = {
    "af --help": (
        "import runpy, sys; sys.argv = ['af', '--help']\n"
        "try: runpy.run_module('appliance', run_name='__main__')\n"
        "except SystemExit: pass"
    ),
    "the domain": "import runtime.domain.run, runtime.domain.workflow, runtime.ports",
}
if (ROOT / "agentflow.py").exists():
    LIGHT_STARTS["the SDK"] = "import agentflow"


def test_the_import_contracts_hold() -> None:
    """The layers are what lets one part change without reading the others."""
    linted = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("code", LIGHT_STARTS.values(), ids=LIGHT_STARTS)
def test_light_starts_load_no_heavy_library(code: str) -> None:
    """`af --help` answers in a third of a second only while nothing heavy is imported on its way."""
    assert set() == _loaded_after(code) & HEAVY


def test_the_domain_loads_nothing_of_the_layers_above_it() -> None:
    """A lazy import inside a function would pass the static contracts; one at import time must not."""
    loaded = _loaded_after("import runtime.domain.run, runtime.domain.workflow")
    assert set() == loaded & {"appliance", "models", "redaction", "tui", "aiosqlite", "sqlcipher3", "sqlite_vec"}


def _loaded_after(code: str) -> set[str]:
    """The top-level modules in `sys.modules` after `code` ran in a process of its own."""
    report = "\nimport json, sys; print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    ran = subprocess.run([sys.executable, "-c", code + report], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stdout.splitlines()[-1]))
