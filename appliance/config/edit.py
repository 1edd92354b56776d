"""Changes `config.yaml` one setting at a time, leaving the operator's comments and order as they are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from appliance.config.known import Value
from appliance.config.sources import FILE, find, parse, read_file, read_text
from appliance.text_files import replace_text
from runtime.errors import Unusable

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./ -]*(?::[0-9]+)?")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "~"}


def set_value(data: Path, key: str, text: str | None) -> Value | None:
    """Set a setting in the file, or with None take it out of it; return the value that the file now gives.

    `models.aliases.NAME` sets one alias. The file is replaced in one step; what else stands in it is not looked at,
    so that two mistakes can be mended one after the other. Raises Invalid and Unavailable; nothing is changed then.
    """
    written = read_file(data)
    known, alias = _split(key, written)
    if alias:
        aliases = parse(known, written.get(known, {}), FILE)
        assert isinstance(aliases, dict), "aliases are a mapping"
        others = {name: str(target) for name, target in aliases.items() if name != alias}
        kept: Value | None = others | ({alias: text} if text is not None else {})
    else:
        kept = None if text is None else parse(known, text, "command line")
    settings = {name: value for name, value in written.items() if name != known}
    if kept is not None:
        settings[known] = kept
    _write(data, known.partition(".")[0], settings)
    return kept


def _split(key: str, written: Mapping[str, object]) -> tuple[str, str]:
    """The setting and, of one alias, its name. A key that stands in the file by mistake can be taken out."""
    if key.startswith("models.aliases."):
        return "models.aliases", key.removeprefix("models.aliases.")
    return (key if key in written else find(key, "command line").key), ""


def _write(data: Path, top: str, settings: Mapping[str, object]) -> None:
    path = data / FILE
    block = _block(top, settings)
    try:
        before = path.read_text() if path.exists() else ""
        after = _replaced(before, top, block)
        read_text(after.encode(), path)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_text(path, after)
    except OSError as error:
        raise Unusable(
            "config.unwritable", f"{path} cannot be written: {error.strerror}; nothing was changed"
        ) from None


def _replaced(text: str, top: str, block: str) -> str:
    """The text with the lines of one top-level key replaced; behind the last line when it has none."""
    lines = text.splitlines(keepends=True)
    begin = next((n for n, line in enumerate(lines) if re.match(rf"[\"']?{re.escape(top)}[\"']?\s*:", line)), None)
    if begin is None:
        return text + ("\n" if text and not text.endswith("\n") else "") + block
    end = begin + 1
    while end < len(lines) and lines[end].startswith((" ", "\t", "-", "}", "]")):
        end += 1
    return "".join([*lines[:begin], block, *lines[end:]])


def _block(top: str, settings: Mapping[str, object]) -> str:
    if top in settings:
        return f"{top}: {_spell(settings[top])}\n"
    inner = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{top}.")}
    lines = [f"  {name}: {_spell(value)}\n" for name, value in inner.items()]
    return f"{top}:\n" + "".join(lines) if lines else ""


def _spell(value: object) -> str:
    """A value on one line of YAML; JSON is YAML wherever a plain word is not."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS and not value[0].isdigit():
        return value
    return json.dumps(value, ensure_ascii=False)
