"""Build the wheel of llama-cpp-python that runs on every AVX2 machine, once, into a per-user cache.

A plain install compiles for the building machine (and crashes where AMX is advertised), and its wheel holds every
library six times.
This script compiles the pinned sources for AVX2 and repacks the result to what is needed at run time.

Usage: python packaging/llama_wheel.py        prints the wheel's path; progress goes to standard error
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

VERSION = "0.3.36"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
CMAKE_ARGS = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"  # x86-64 with AVX2, FMA, F16C: one binary, one answer everywhere
# The option is FORCEd on in the sources, so no -D reaches it; `common` is a third of the compile time and unused.
CMAKE_EDIT = ("set(LLAMA_BUILD_COMMON ON CACHE", "set(LLAMA_BUILD_COMMON OFF CACHE")
LIBRARIES = ("libllama.so", "libggml.so.0", "libggml-base.so.0", "libggml-cpu.so.0")
REPACK = 1  # raise when `repack` changes what it writes

PACKAGING = Path(__file__).resolve().parent


class BuildError(Exception):
    """The wheel cannot be had; the message says why and what to do."""


def main() -> int:
    """Print the path of the wheel, building it first when the cache has none."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stopped build removes its folder
    try:
        print(cached_wheel(cache_folder()))
    except BuildError as error:
        print(f"llama-cpp-python: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nllama-cpp-python: interrupted; nothing half-built is left behind. Run it again.", file=sys.stderr)
        return 130
    return 0


def cache_folder() -> Path:
    """Return the folder of built wheels: below XDG_CACHE_HOME, else below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentflow" / "wheels"


def cached_wheel(cache: Path) -> Path:
    """Return the wheel in `cache`, building it first when it is not there.

    The wheel appears under its final name only when complete.
    Concurrent callers wait for the first one.
    """
    machine = platform.machine()
    recipe = json.dumps([VERSION, SDIST_SHA256, CMAKE_ARGS, CMAKE_EDIT, REPACK, machine])
    key = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    wheel = cache / key / f"llama_cpp_python-{VERSION}-py3-none-linux_{machine}.whl"
    if wheel.exists():
        return wheel
    _check_tools()
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(cache / "lock"):
        if not wheel.exists():
            _build(cache, wheel)
    return wheel


def repack(raw: Path, wheel: Path, libgomp: Path) -> None:
    """Write `wheel`: the Python sources of `raw`, each library once, and the OpenMP library beside them.

    The libraries find each other, and libgomp, in their own folder (their RUNPATH is $ORIGIN).
    The same input gives the same bytes.
    """
    info = f"llama_cpp_python-{VERSION}.dist-info"
    libraries = "|".join(map(re.escape, LIBRARIES))
    wanted = re.compile(rf"llama_cpp/(?!lib/|server/).*|llama_cpp/lib/({libraries})|{re.escape(info)}/(?!RECORD).*")
    with ZipFile(raw) as source:
        members = {name: source.read(name) for name in source.namelist() if wanted.fullmatch(name)}
    missing = [name for name in LIBRARIES if f"llama_cpp/lib/{name}" not in members]
    if missing:
        raise BuildError(f"the compiled wheel has no {', '.join(missing)}; the sources are not those of {VERSION}")
    members["llama_cpp/lib/libgomp.so.1"] = libgomp.read_bytes()
    record = [f"{name},sha256={_record_hash(data)},{len(data)}" for name, data in sorted(members.items())]
    members[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    with ZipFile(wheel, "w", ZIP_DEFLATED) as target:
        for name, data in sorted(members.items()):
            entry = ZipInfo(name)  # dated 1980, whatever the clock says
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = (0o100755 if "/lib/" in name else 0o100644) << 16
            target.writestr(entry, data)


def _check_tools() -> None:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise BuildError(f"built for Linux on x86-64; this is {sys.platform} on {platform.machine()}")
    if not shutil.which("g++"):
        raise BuildError("a C++ compiler is needed once, and g++ is not on PATH. Install it (Debian: apt install g++)")


def _build(cache: Path, wheel: Path) -> None:
    for leftover in cache.glob("building-*"):  # of a build that was killed; the lock says nobody is in there
        shutil.rmtree(leftover)
    _say(f"building llama-cpp-python {VERSION} once for this user: 3 to 8 minutes of one processor core")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as folder:
        work = Path(folder)
        python = _build_environment(work)
        sources = _unpack(_sdist(cache, python), work)
        raw = _compile(python, sources, work, cache / "build.log")
        repack(raw, work / wheel.name, _libgomp())
        _try_out(work / wheel.name, work)
        os.replace(work / wheel.name, wheel)
    _say(f"built {wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, in {time.monotonic() - started:.0f} s")


def _build_environment(work: Path) -> Path:
    """Create a virtual environment with the locked cmake, ninja and build backend; return its python."""
    _say("fetching cmake and ninja")
    venv.create(work / "tools", with_pip=True)
    python = work / "tools" / "bin" / "python"
    _pip(python, "install", "--no-deps", "--require-hashes", "-r", str(PACKAGING / "requirements-llama.lock"))
    return python


def _sdist(cache: Path, python: Path) -> Path:
    """Return the pinned source archive, fetched once; an interrupted build does not fetch it again."""
    kept = cache / f"llama_cpp_python-{VERSION}.tar.gz"
    if kept.exists() and _sha256(kept) == SDIST_SHA256:
        return kept
    _say("fetching the sources, 77 MB")
    with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"llama-cpp-python=={VERSION} --hash=sha256:{SDIST_SHA256}\n")
        options = ("--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--require-hashes")
        _pip(python, "download", *options, "--dest", folder, "-r", str(pinned))
        [archive] = Path(folder).glob("*.tar.gz")
        os.replace(archive, kept)
    return kept


def _unpack(sdist: Path, work: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(work, filter="data")
    sources = work / sdist.name.removesuffix(".tar.gz")
    lists = sources / "CMakeLists.txt"
    text = lists.read_text()
    if text.count(CMAKE_EDIT[0]) != 1:
        raise BuildError(f"{lists.name} of {VERSION} has no single line {CMAKE_EDIT[0]!r} to edit")
    lists.write_text(text.replace(*CMAKE_EDIT))
    return sources


def _compile(python: Path, sources: Path, work: Path, log: Path) -> Path:
    """Compile `sources` into a raw wheel, showing ninja's steps; the compiler's own words go to `log`."""
    environment = _tool_environment(python) | {"CMAKE_ARGS": CMAKE_ARGS, "CMAKE_GENERATOR": "Ninja"}
    command = [str(python), "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-build-isolation"]
    command += ["--no-cache-dir", "--wheel-dir", str(work / "raw"), str(sources)]
    with log.open("w") as written:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a group of its own, so that an interrupt ends the compilers too
        )
        try:
            assert process.stdout is not None
            _show_steps(line for line in process.stdout if written.write(line))
            status = process.wait()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if status != 0:
        tail = "".join(log.read_text().splitlines(keepends=True)[-15:])
        raise BuildError(f"compiling failed; the last lines of {log} are:\n{tail}")
    [raw] = (work / "raw").glob("*.whl")
    return raw


def _show_steps(lines: Iterator[str]) -> None:
    """Show `step n of m, t s`: in place on a terminal, else a line every 15 seconds."""
    terminal = sys.stderr.isatty()
    started = shown = time.monotonic()
    for line in lines:
        step = re.match(r"\s*\[(\d+)/(\d+)\]", line)
        now = time.monotonic()
        if step and (terminal or now - shown >= 15 or step[1] == step[2]):
            shown = now
            text = f"  compiling: step {step[1]} of {step[2]}, {now - started:.0f} s"
            print(f"\r{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)
    if terminal:
        print(file=sys.stderr)


def _libgomp() -> Path:
    named = subprocess.run(["g++", "-print-file-name=libgomp.so.1"], capture_output=True, text=True, check=True)
    path = Path(named.stdout.strip())
    if not path.is_absolute():  # the compiler echoes a name it cannot find
        raise BuildError("g++ has no libgomp.so.1 beside it. Install it (Debian: apt install libgomp1)")
    return path.resolve()


def _try_out(wheel: Path, work: Path) -> None:
    """Load the repacked libraries in a process of their own: what cannot load must not be cached."""
    with ZipFile(wheel) as archive:
        archive.extractall(work / "unpacked")
    library = work / "unpacked" / "llama_cpp" / "lib" / "libllama.so"
    probe = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).llama_backend_init()"
    tried = subprocess.run([sys.executable, "-c", probe, str(library)], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise BuildError(f"the built library does not load (exit {tried.returncode}):\n{tried.stderr.strip()}")


def _pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, env=_tool_environment(python), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(
            f"pip {arguments[0]} failed; this step needs the package index:\n{done.stderr.strip()[-1500:]}"
        )


def _tool_environment(python: Path) -> dict[str, str]:
    """The caller's environment, with the build's own tools first and without flags that would change the binary."""
    dropped = ("CFLAGS", "CXXFLAGS", "LDFLAGS", "CMAKE_ARGS", "PYTHONPATH", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _record_hash(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
