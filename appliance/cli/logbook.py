"""Where log records go: warnings to stderr for people, JSON lines to `logs/af.log` in the data folder.

Every record is redacted on its way, its traceback too.
"""

import json
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.domain.journal import rfc3339

if TYPE_CHECKING:
    from appliance.cli.context import Af
    from appliance.telemetry.log_redaction import LogRedaction
    from redaction.presets import RedactionPolicy

FILE_BYTES = 5_000_000
FILES_KEPT = 3
CHATTY = {
    "aiosqlite": logging.INFO,
    "asyncio": logging.INFO,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
}
"""Least level of libraries whose words would drown ours; those of HTTP name every address with its query."""

_SAID = ("appliance.cli.failures", "runtime.engine.ended")
"""Loggers of what a command says itself."""
_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}


def open_log(af: "Af") -> None:
    """Send records to stderr and, where the data folder can be written, to its log. Does nothing the second time."""
    root = logging.getLogger()
    if any(isinstance(handler, _Stderr) for handler in root.handlers):
        return
    # no lower than anybody listens: what nobody keeps would still be made, for every statement of the database
    root.setLevel(min(_stderr_level(af), _file_level(af)))
    for name, level in CHATTY.items():
        logging.getLogger(name).setLevel(level)
    stderr = _Stderr(sys.stderr)
    stderr.redaction = _Redaction(af)
    stderr.setLevel(_stderr_level(af))
    root.addHandler(stderr)
    path = af.data_folder / "logs" / "af.log"
    file = _Journal(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, delay=True, encoding="utf-8")
    file.redaction = _Redaction(af)
    file.setLevel(_file_level(af))
    root.addHandler(file)


def close_log() -> None:
    """Send records nowhere again."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in [handler for handler in root.handlers if isinstance(handler, (_Stderr, _Journal))]:
        root.removeHandler(handler)
        handler.close()


class _Redaction:
    """What a handler's records pass. Loaded with the first of them: most commands write none."""

    def __init__(self, af: "Af") -> None:
        self._af = af
        self._made: LogRedaction | None = None

    def text(self, text: str) -> str:
        return self._af.masked(self._redaction().text(text))

    def fields(self, fields: dict[str, object]) -> dict[str, object]:
        found: dict[str, object] = {**self._redaction().fields(fields)}
        return self._af.masked_fields(found)

    def _redaction(self) -> "LogRedaction":
        if self._made is None:
            from appliance.telemetry.log_redaction import LogRedaction

            self._made = LogRedaction(self._policy)
        return self._made

    def _policy(self) -> "RedactionPolicy | None":
        from appliance.minimising import policies_of

        return policies_of(self._af.settings)["log"]


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Short lines for people, without what is said to them in other words: what ended the command, how a run ended."""

    redaction: _Redaction

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name not in _SAID and super().filter(record) is not False

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {self.redaction.text(record.getMessage())}"


class _Journal(logging.handlers.RotatingFileHandler):
    """One JSON object a line; a folder that can't be written costs the line, never the command."""

    redaction: _Redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": rfc3339(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        said: dict[str, object] = {"message": record.getMessage()}
        said |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            said["traceback"] = logging.Formatter().formatException(record.exc_info)
        return json.dumps({**line, "pid": record.process, **self.redaction.fields(said)}, ensure_ascii=False)

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is None:
            _make_private(Path(self.baseFilename).parent)
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Say nothing: there is nowhere to say it."""


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return


def _stderr_level(af: "Af") -> int:
    if af.terminal.is_quiet or (af.is_rehearsal and not af.terminal.is_verbose):
        return logging.ERROR
    return logging.INFO if af.terminal.is_verbose else logging.WARNING


def _file_level(af: "Af") -> int:
    try:
        return logging.getLevelNamesMapping()[af.settings.log_level.upper()]
    except Exception:  # settings that can't be read must not hide why
        return logging.INFO
