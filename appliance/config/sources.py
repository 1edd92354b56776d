"""Where settings come from: the file, the environment, the command line; and which of them decided."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.config.known import SETTINGS, Setting, Value, nearest, setting
from runtime.errors import Invalid, InvalidDefinition, Unusable

FILE = "config.yaml"


class Resolved(msgspec.Struct, frozen=True):
    """A setting's value and what gave it."""

    value: Value
    source: str
    """`default`, `config.yaml`, the variable's name, or `flag`."""


def resolve(data: Path, env: Mapping[str, str], flags: Mapping[str, object]) -> dict[str, Resolved]:
    """Every setting by key, with its source. Raises Invalid and Unavailable."""
    found = {known.key: Resolved(known.default, "default") for known in SETTINGS}
    for key, value in read_file(data).items():
        try:
            found[key] = Resolved(parse(key, value, FILE), FILE)
        except Invalid:
            parse(key, value, f"{FILE}:{_line_of(key, data / FILE)}")  # raises again, with the line
            raise
    for known in SETTINGS:
        if env.get(known.variable):
            found[known.key] = Resolved(parse(known.key, env[known.variable], known.variable), known.variable)
    for key, value in flags.items():
        found[key] = Resolved(parse(key, value, "flag"), "flag")
    return found


def parse(key: str, value: object, source: str) -> Value:
    """Read one value. Raises Invalid, naming the source and what the setting takes."""
    known = find(key, source)
    try:
        return known.parse(value)
    except ValueError as expected:
        raise Invalid(
            "config.value", f"setting {key!r} ({source}) is {_told(value)}; expected {expected}", key=key, source=source
        ) from None


def _line_of(key: str, path: Path) -> int:
    """The line of a setting in the file, or of the group that it stands in."""
    from appliance.loading.report import Report
    from appliance.loading.yaml_reader import read_documents

    (document,) = read_documents(path.read_text("utf-8"), Report(), file=str(path))
    group, _, name = key.partition(".")
    inner = document.member(group)
    if key in document.keys or inner is None:
        return document.key_line(key)
    return inner.key_line(name) or document.key_line(group)


def _told(value: object) -> str:
    """A single value as it is; lists and mappings, which the environment gives as JSON, may hold somebody's key."""
    is_whole = isinstance(value, (list, dict)) or str(value).lstrip().startswith(("[", "{"))
    return "wrong" if is_whole else repr(value)


def find(key: str, source: str) -> Setting:
    """The setting of that name. Raises Invalid, naming the nearest one."""
    known = setting(key)
    if known is None:
        near = nearest(key)
        advice = f"did you mean {near!r}?" if near else f"there are: {', '.join(known.key for known in SETTINGS)}"
        raise Invalid("config.unknown_key", f"no setting is called {key!r} ({source}); {advice}", key=key)
    return known


def read_file(data: Path) -> dict[str, object]:
    """What `config.yaml` says, by dotted key; nothing when there is no file. Raises Invalid and Unavailable."""
    path = data / FILE
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Unusable("config.unreadable", f"{path} cannot be read: {error.strerror}; check who may read it") from None
    return read_text(content, path)


def read_text(content: bytes, path: Path) -> dict[str, object]:
    """The settings in a file's text, by dotted key. Raises Invalid."""
    from appliance.loading.node import plain
    from appliance.loading.report import Report
    from appliance.loading.yaml_reader import (
        decode,
        read_documents,
    )  # 50 ms that a folder without the file need not pay

    report = Report()
    text = decode(content, report, str(path))
    documents = [] if text is None else [plain(node) for node in read_documents(text, report, file=str(path))]
    if report.has_errors:
        raise InvalidDefinition(str(path), report.problems())
    if not documents or documents == [None]:
        return {}
    if len(documents) > 1 or not isinstance(documents[0], dict):
        raise Invalid("config.no_mapping", f"{path} must hold one document of `key: value` lines")
    return dict(_flatten(documents[0]))


def _flatten(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    groups = {known.key.partition(".")[0] for known in SETTINGS if "." in known.key}
    for key, value in document.items():
        if key in groups and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value
