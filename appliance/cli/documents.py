"""What the command line is given to read: inputs, payloads and outcomes, as text, from a file or from stdin."""

import sys
from pathlib import Path

from runtime.domain.canonical import Json, parse
from runtime.errors import Invalid, InvalidDefinition, NotFound, Unavailable

MAX_BYTES = 10 * 1_048_576
"""The engine's own limit on an input; more is not even read."""


def read_input(given: str | None, option: str = "--input") -> Json:
    """The JSON of a text, of `@FILE`, or of stdin for `-`; {} when nothing was given. Raises Invalid and NotFound."""
    if given is None:
        return {}
    content, place = _content(given, option)
    try:
        return parse(content)
    except Invalid as error:
        quoting = '. In a shell, quote it: \'{"message": "…"}\'' if place == option else ""
        raise Invalid(error.code, f"{place}: {error.message}{quoting}") from None


def read_document(name: str, option: str) -> Json:
    """The YAML or JSON of a file, or of stdin for `-`. Raises Invalid, InvalidDefinition and NotFound."""
    from appliance.loading.node import plain
    from appliance.loading.report import Report
    from appliance.loading.yaml_reader import decode, read_documents

    content, place = (_from_stdin(option), "stdin") if name == "-" else (_from_file(Path(name), option), name)
    report = Report()
    text = decode(content, report, place)
    found = read_documents(text, report, file=place) if text is not None else []
    if report.has_errors:
        raise InvalidDefinition(place, report.problems())
    if len(found) != 1:
        raise Invalid("document.count", f"{place} must hold one YAML document; it holds {len(found)}")
    return plain(found[0])


def _content(given: str, option: str) -> tuple[bytes, str]:
    if given == "-":
        return _from_stdin(option), "stdin"
    if given.startswith("@"):
        return _from_file(Path(given[1:]), option), given[1:]
    return given.encode("utf-8", "surrogatepass"), option


def _from_stdin(option: str) -> bytes:
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _too_large("stdin", option)
    return content


def _from_file(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("file.missing", f"{option} names {str(path)!r}, which does not exist") from None
    except OSError as error:
        raise Unavailable(
            "file.unreadable", f"{option} names {str(path)!r}, which cannot be read: {error.strerror}", retryable=False
        ) from None
    if len(content) > MAX_BYTES:
        raise _too_large(str(path), option)
    return content


def _too_large(place: str, option: str) -> Invalid:
    return Invalid(
        "input.too_large", f"{place} ({option}) has more than {MAX_BYTES // 1_048_576} MiB; the limit is that"
    )
