"""Make dist/agentflow.pyz: the appliance and everything it imports, in one file that needs a Python and no network.

Every library comes from packaging/requirements.lock by hash, the model library from packaging/llama_wheel.py.
Models are not inside; `af models add FILE` or `af models fetch` lays them into the data folder.
The same sources and locks give the same bytes.

Usage: python packaging/build.py        does nothing when the file is up to date with the checkout
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import llama_wheel
from shiv import builder, cli

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
SITE = BUILD / "site"
PYZ = ROOT / "dist" / "agentflow.pyz"
SUMS = ROOT / "dist" / "SHA256SUMS"
BUILT_FROM = BUILD / "built-from"
LOCK = ROOT / "packaging" / "requirements.lock"
INTO_SITE = ("--no-deps", "--no-index", "--no-compile", "--target", str(SITE))
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

SHIPPED = ("agentflow.py", "appliance", "models", "redaction", "runtime", "tui")
RECIPE = (
    "pyproject.toml",
    "shiv.spec",
    "packaging/build.py",
    "packaging/llama_wheel.py",
    "packaging/requirements.lock",
)

# What no start of the appliance reads: sources of compiled parts, tests of libraries, tools to train or convert models.
UNUSED_SUFFIXES = {".a", ".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pyc", ".pyi", ".pyx"}
UNUSED_FOLDERS = ("tests", "__pycache__")
UNUSED_PATHS = (
    "bin",
    "cel_expr_python/ext/ext_bindings.*",
    "cel_expr_python/ext/ext_encoders.*",
    "cel_expr_python/ext/ext_proto.*",
    "numpy/f2py",
    "onnxruntime/capi/libonnxruntime.so.*",  # for programs in C; the Python module holds the library itself
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "phonenumbers/carrierdata",  # 17 MB for questions that nobody asks here: whose network, which town, what time
    "phonenumbers/geodata",
    "phonenumbers/tzdata",
)
# Written by the installer about this machine; they would make each build differ.
INSTALLER_NOTES = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json"}

# Zlib's own choice, 6, takes twice as long for a file that is 3 % smaller.
COMPRESSION_LEVEL = 4

# Runs before anything is unpacked, on whatever Python was called, so it is written for all of them.
VERSION_CHECK = f"""\
import sys
if sys.version_info[:2] != ({sys.version_info.major}, {sys.version_info.minor}):
    sys.exit("agentflow.pyz was built for Python {PYTHON}; this is %d.%d. Run: python{PYTHON} agentflow.pyz"
             % sys.version_info[:2])
"""


def main() -> int:
    """Build the file unless it is up to date; print its size, hash and build id."""
    os.chdir(ROOT)
    key = source_key()
    if not _is_up_to_date(key):
        _build()
        BUILT_FROM.write_text(key)
    print(f"{PYZ.relative_to(ROOT)}  {PYZ.stat().st_size / 1e6:.1f} MB  for Python {PYTHON}")
    print(SUMS.read_text().split()[0])
    return 0


def source_key() -> str:
    """The hash of everything the file is made of: shipped sources, locks, this recipe, the Python version."""
    digest = hashlib.sha256(PYTHON.encode())
    for path in sorted(_sources()):
        content = (ROOT / path).read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in (*SHIPPED, *RECIPE):
        path = ROOT / name
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(ROOT)


def _is_up_to_date(key: str) -> bool:
    if not (PYZ.exists() and SUMS.exists() and BUILT_FROM.exists()) or BUILT_FROM.read_text() != key:
        return False
    return SUMS.read_text() == _sums_line()


def _build() -> None:
    BUILT_FROM.unlink(missing_ok=True)
    shutil.rmtree(SITE, ignore_errors=True)
    _install_libraries()
    _install_ours()
    _prune()
    _strip()
    _pack()


def _install_libraries() -> None:
    """Install the locked wheels; they are downloaded once for a lock, so building again needs no network."""
    wheels = BUILD / f"wheels-{PYTHON}-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not wheels.exists():
        _say("fetching the locked wheels")
        partial = wheels.with_suffix(".part")
        _pip("download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK), "-d", str(partial))
        partial.rename(wheels)
    _say("installing them")
    _pip("install", *INTO_SITE, "--find-links", str(wheels), "--require-hashes", "-r", str(LOCK))
    shutil.rmtree(SITE / "bin")  # commands of libraries, which name this machine's Python


def _install_ours() -> None:
    _say("installing the appliance and the model library")
    made = BUILD / "wheel"
    shutil.rmtree(made, ignore_errors=True)
    _pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(made), str(ROOT))
    [ours] = made.glob("*.whl")
    _pip("install", *INTO_SITE, str(ours), str(llama_wheel.cached_wheel(llama_wheel.cache_folder())))


def _prune() -> None:
    unused = [path for pattern in UNUSED_PATHS for path in SITE.glob(pattern)]
    for path in [*unused, *(path for path in SITE.rglob("*") if path.is_dir() and path.name in UNUSED_FOLDERS)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in [path for path in SITE.rglob("*") if path.is_file()]:
        note = path.parent.suffix == ".dist-info" and path.name in INSTALLER_NOTES
        if note or (path.suffix in UNUSED_SUFFIXES and not _is_ours(path)):
            path.unlink()
        else:
            path.chmod(0o755 if ".so" in path.name else 0o644)  # the caller's umask must not change the bytes


def _is_ours(path: Path) -> bool:
    return path.relative_to(SITE).parts[0] in SHIPPED


def _strip() -> None:
    """Strip the symbols of compiled parts, except of `*.libs`, whose relocated layout strip destroys."""
    if not shutil.which("strip"):
        raise SystemExit("pyz: needs strip once. Install it (Debian: apt install binutils)")
    libraries = [path for path in SITE.rglob("*.so*") if not path.relative_to(SITE).parts[0].endswith(".libs")]
    subprocess.run(["strip", "--strip-unneeded", *map(str, libraries)], check=True)


def _pack() -> None:
    _say("packing")
    builder.MAIN_TEMPLATE = VERSION_CHECK + builder.MAIN_TEMPLATE
    builder.write_to_zipapp = _write
    options = shlex.split((ROOT / "shiv.spec").read_text().format(python=PYTHON), comments=True)
    cli.main(options, standalone_mode=False)
    with zipfile.ZipFile(BUILD / PYZ.name) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
        _say(f"{len(archive.namelist())} files, {unpacked_bytes / 1e6:.0f} MB when unpacked")
    PYZ.parent.mkdir(exist_ok=True)
    (BUILD / PYZ.name).replace(PYZ)
    SUMS.write_text(_sums_line())


def _write(
    archive: zipfile.ZipFile,
    name: str,
    content: bytes,
    at: tuple[int, int, int, int, int, int],
    compression: int,
    stat: os.stat_result | None = None,
) -> None:
    """Write one file as shiv does, at a compression level of our own."""
    entry = zipfile.ZipInfo(name, date_time=at)
    if stat is not None:
        entry.external_attr = stat.st_mode << 16
    archive.writestr(entry, content, compression, COMPRESSION_LEVEL)


def _sums_line() -> str:
    with PYZ.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {PYZ.name}\n"


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def _say(text: str) -> None:
    print(f"pyz: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
