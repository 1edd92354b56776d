"""The triggers of a definition: what starts runs of it by itself."""

import re
from collections import Counter

from appliance.loading.keys import method, template
from appliance.loading.node import Node
from appliance.loading.place import Place
from appliance.loading.shapes import (
    Shape,
    boolean,
    choice,
    duration,
    either,
    list_of,
    matching,
    name,
    record,
    schema_of,
    takes,
    text,
    texts,
)
from appliance.triggers.due import next_due
from runtime.domain.canonical import Json
from runtime.domain.spelling import did_you_mean
from runtime.domain.subject import RUNS, checked_filter
from runtime.domain.trigger import DATA, KINDS, Schedule, default_name
from runtime.domain.units import milliseconds
from runtime.errors import Invalid

_SOME_DAY_US = 1_767_225_600_000_000
_SECRET = matching(r"(secret://)?[a-z0-9][a-z0-9._-]{0,63}", "the name of a stored secret, such as github-hook")
_wait = either(duration, boolean, lambda node: isinstance(node.value, bool) or node.value in ("yes", "no"))
_REACHABLE = r"(/[A-Za-z0-9._~-]+)+"
_path = matching(_REACHABLE, "a path such as /chat, of letters, digits and - . _ ~ with one / before each part")
_ENDPOINT = record(
    "http_endpoint", {"path": matching(r"/\S*", "a path such as /chat"), "method": method, "wait": _wait}
)


def _endpoint(node: Node, place: Place) -> Json:
    """Of older definitions, which earlier versions kept, some have a path that no request can have, or none."""
    found = _ENDPOINT(node, place)
    if isinstance(found, dict):
        path = str(found.get("path", "/"))
        if not re.fullmatch(_REACHABLE, path) or found.get("method") == "HEAD":
            message = f"no request reaches {found.get('method', 'POST')} {path}"
            hint = "give it a path of letters, digits and - . _ ~ such as /chat, and GET, POST, PUT, PATCH or DELETE"
            place.warn("key.not_active", message, node, hint)
    return found


def _inactive(shape: Shape, instead: str) -> Shape:
    @takes(lambda: schema_of(shape))
    def checked(node: Node, place: Place) -> Json:
        key = place.path.rpartition(".")[2]
        place.warn(
            "key.not_active", f"{key!r} is checked and kept, but starts nothing in this version; {instead}", node
        )
        return shape(node, place)

    return checked


_SCHEDULE = record(
    "schedule",
    {
        "cron": text,
        "every": duration,
        "timezone": text,
        "missed": choice("last", "all", "skip"),
        "overlap": choice("skip", "allow"),
    },
)


@takes(lambda: schema_of(_SCHEDULE))
def _schedule(node: Node, place: Place) -> Json:
    found = _SCHEDULE(node, place)
    if not isinstance(found, dict):
        return found
    if ("cron" in found) == ("every" in found):
        place.error("trigger.schedule", "a schedule has either 'cron' or 'every'", node, 'cron: "0 7 * * 1-5"')
        return found
    if "every" in found and milliseconds(found["every"]) < 1_000:
        place.child("every").error("value.range", "a schedule's interval is a second at least", node)
        return found
    try:
        spec = Schedule(str(found.get("cron", "")), str(found.get("every", "")), str(found.get("timezone", "UTC")))
        if next_due(spec, _SOME_DAY_US) is None:
            place.error("trigger.cron", "there is no day on which this schedule is due", node)
    except Invalid as error:
        place.error(error.code, error.message, node)
    return found


@takes({"type": "string"})
def _subject(node: Node, place: Place) -> Json:
    found = text(node, place)
    if not isinstance(found, str):
        return found
    try:
        checked_filter(found)
    except Invalid as error:
        place.error(error.code, error.message, node)
    if found.split(".")[0] in (">", "*"):
        message = "a filter of all subjects would have each run start the next one"
        place.error("trigger.endless", message, node, f"name the first word, such as orders.> or {RUNS}.billing.>")
    return found


_HOW: dict[str, Shape] = {
    "http_endpoint": _endpoint,
    "webhook": record(
        "webhook",
        {
            "path": _path,
            "secret": _SECRET,
            "signature": choice("github", "gitlab", "slack", "standard", "stripe"),
            "events": texts,
        },
        required=("path", "secret"),
    ),
    "schedule": _schedule,
    "file_drop": record(
        "file_drop", {"folder": name, "pattern": text, "after": choice("move", "keep")}, required=("folder",)
    ),
    "message": record("message", {"subject": _subject}, required=("subject",)),
    "mailbox": record("mailbox", {"folder": name}, required=("folder",)),
    "email_webhook": _inactive(record("email_webhook", {"provider": text}), "'mailbox' takes mails"),
    "slack_integration": _inactive(
        record("slack_integration", {"channel": text}), "'webhook' with signature: slack takes Slack's events"
    ),
}
_TRIGGER = record("a trigger", {**_HOW, "name": name, "input": template})


@takes(lambda: schema_of(_TRIGGER))
def _trigger(node: Node, place: Place) -> Json:
    found = _TRIGGER(node, place)
    if not isinstance(found, dict):
        return found
    kinds = [kind for kind in _HOW if kind in found]
    given = set(node.value) if isinstance(node.value, dict) else set()
    if len(kinds) > 1 or not given - {"name", "input"}:
        message = f"a trigger has one of {', '.join(_HOW)}; found {', '.join(kinds) or 'none'}"
        place.error("trigger.kind", message, node)
    elif kinds and kinds[0] in DATA and "input" in found:
        _check_input(found["input"], kinds[0], node, place.child("input"))
    return found


def _check_input(source: Json, kind: str, node: Node, place: Place) -> None:
    from runtime.agents.templates import Template

    try:
        unknown = sorted(Template(source).names - {*DATA[kind]})
    except Invalid:  # it was reported where it was read
        return
    if unknown:
        message = f"{unknown[0]!r} is nothing that the input of a {kind} can read; there is {', '.join(DATA[kind])}"
        place.error("trigger.input", message, node, did_you_mean(place.guess(unknown[0], DATA[kind])))


_LIST = list_of(_trigger, what="a list of triggers such as {http_endpoint: {path: /chat}}")


@takes(lambda: schema_of(_LIST))
def triggers(node: Node, place: Place) -> Json:
    """The whole list; each has a name of its own, and each path is there once."""
    found = _LIST(node, place)
    if not isinstance(found, list):
        return found
    numbers: Counter[str] = Counter()
    names: set[str] = set()
    paths: set[tuple[str, str]] = set()
    for number, each in enumerate(found):
        kind = next((kind for kind in KINDS if isinstance(each, dict) and kind in each), None)
        if kind is None or not isinstance(each, dict):
            continue
        numbers[kind] += 1
        own = str(each.get("name") or default_name(kind, numbers[kind]))
        if own in names:
            place.child(number).error("trigger.twice", f"two triggers are called {own!r}", node, "give one a 'name'")
        names.add(own)
        how = each[kind]
        if isinstance(how, dict) and "path" in how:
            place_of = (str(how.get("method", "POST")), str(how["path"]))
            if place_of in paths:
                message = f"two triggers take {' '.join(place_of)}"
                place.child(number).error("trigger.twice", message, node)
            paths.add(place_of)
    return found
