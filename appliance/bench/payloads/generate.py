"""Payloads from all templates in turn, the same for the same seed, and how a redactor did on one."""

from collections.abc import Iterator

import msgspec

from appliance.bench.payloads.data import DATA
from appliance.bench.payloads.facts import Example, Facts, Gold
from appliance.bench.payloads.files import FILES
from appliance.bench.payloads.talk import TALK, Template
from runtime.domain.canonical import Json

TEMPLATES: tuple[Template, ...] = (*TALK, *DATA, *FILES)


def examples(count: int, *, seed: int = 0) -> Iterator[Example]:
    """So many payloads. Values that stand in a payload as harmless and as sensitive count as sensitive."""
    for number in range(count):
        template = TEMPLATES[number % len(TEMPLATES)]
        facts = Facts(seed * 1_000_003 + number)
        payload = template(facts)
        given = text_of(payload)
        sensitive = tuple(dict.fromkeys(each for each in facts.sensitive if each.value in given))
        values = [each.value for each in sensitive]
        harmless = tuple(
            value
            for value in dict.fromkeys(facts.harmless)
            if value in given and not any(value in each or each in value for each in values)
        )
        yield Example(f"{template.__name__}-{number}", template.__name__, payload, sensitive, harmless)


def text_of(payload: Json) -> str:
    """Everything in a payload that can be read, a line each."""
    return "\n".join(_texts(payload))


def leaked(example: Example, out: Json) -> list[Gold]:
    """The sensitive values that are still there."""
    text = text_of(out)
    return [each for each in example.sensitive if each.value in text]


def destroyed(example: Example, out: Json) -> list[str]:
    """The harmless values that are not there any more."""
    text = text_of(out)
    return [value for value in example.harmless if value not in text]


def _texts(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
        case None:
            return
        case _:
            yield str(msgspec.json.encode(value), "ascii")
