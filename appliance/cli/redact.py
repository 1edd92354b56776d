"""`af redact`: what a text or a payload looks like when it leaves, and why."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.documents import MAX_BYTES
from appliance.cli.terminal import printable, table
from runtime.errors import Invalid

if TYPE_CHECKING:
    from redaction.redactor import Acted, Redacted, Redactor
    from runtime.domain.canonical import Json

POLICY = click.option(
    "--policy", "policy", metavar="P", default="default", show_default=True, help="A preset's name, or a YAML file."
)
NO_NAMES = click.option("--no-names", "is_without_names", is_flag=True, help="Patterns only: no model reads the text.")
DESTINATION = click.option("--destination", default="", metavar="D", help="Where it would go, such as cloud:eu.")


@click.group(
    cls=Group,
    invoke_without_command=True,
    examples="""
        echo 'I am bob@example.com' | af redact
        af redact --policy strict --json < letter.txt
        af redact --jsonl < payloads.jsonl
        af redact explain 'card 4111 1111 1111 1111'
    """,
)
@POLICY
@DESTINATION
@NO_NAMES
@click.option("--jsonl", "is_jsonl", is_flag=True, help="Read and write lines {id, destination, payload}.")
@click.pass_context
def redact(ctx: click.Context, *, policy: str, destination: str, is_without_names: bool, is_jsonl: bool) -> int:
    """Redact the text on stdin as it would be on its way out.

    Names and places are looked for by a model of the appliance's own, which starts when a text may hold one. With
    --jsonl each line is a payload, any JSON value, and each line out is {id, decision, payload}. Exit code 3
    when the policy blocks the text; a blocked line has a decision of its own. Pseudonyms live as long as the call.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    af = ctx.find_object(Af)
    assert af is not None, "the root context holds the invocation"
    with _redactor(af, policy, is_without_names) as redactor:
        if is_jsonl:
            # the rules take a tenth of a second to compile
            from appliance.cli.redact_lines import redact_lines

            return redact_lines(af.terminal, redactor, destination)
        return _whole(af, redactor, destination)


@redact.command(
    "explain",
    examples="""
        af redact explain 'mail bob@example.com'
        af redact explain --policy phi --json 'MRN 00123456'
    """,
)
@click.argument("text")
@POLICY
@DESTINATION
@NO_NAMES
@pass_af
def redact_explain(af: Af, *, text: str, policy: str, destination: str, is_without_names: bool) -> None:
    """Say what is found in TEXT, by which recogniser, how surely, near which word, and what is done with it."""
    from redaction.segments import redact_text  # the rules take a tenth of a second to compile

    with _redactor(af, policy, is_without_names) as redactor:
        redacted = redact_text(redactor, text, destination)
    rows = [
        (each.type, f"{each.start}–{each.end}", f"{each.score:.2f}", each.recogniser, each.context or "–", each.action)
        for each in redacted.findings
    ]
    if rows:
        af.terminal.say(table(("ENTITY", "PLACE", "SCORE", "RECOGNISER", "NEAR", "ACTION"), rows, right=(1, 2)))
    else:
        af.terminal.say("nothing is found")
    af.terminal.say()
    af.terminal.say(printable(redacted.text) if redacted.decision == "allow" else "blocked: nothing leaves")
    af.terminal.document(_document(redacted))


@contextmanager
def _redactor(af: Af, policy: str, is_without_names: bool) -> "Iterator[Redactor]":
    import secrets

    # the rules take a tenth of a second to compile
    from appliance.loading.redaction import redaction_policy
    from redaction.names.host import NamesHost
    from redaction.redactor import Redactor

    wanted = redaction_policy(policy)
    if is_without_names:
        wanted = wanted.patterns_only()
    names = NamesHost(on_slow_start=lambda: af.terminal.note("loading the model that finds names and places …"))
    try:
        yield Redactor(wanted, secrets.token_bytes(32), names=names)
    finally:
        names.stop()


def _whole(af: Af, redactor: "Redactor", destination: str) -> int:
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Invalid("input.too_large", f"stdin has more than {MAX_BYTES // 1_048_576} MiB; the limit is that")
    from redaction.segments import redact_text

    redacted = redact_text(redactor, _text(content), destination)
    if not af.terminal.is_json:
        click.echo(redacted.text, nl=False)
    af.terminal.document(_document(redacted))
    if redacted.decision == "block":
        named = ", ".join(sorted({each.type for each in redacted.findings if each.action == "block"}))
        af.terminal.complain(f"redaction.blocked: policy {redactor.policy.name!r} lets no {named} leave")
        return 3
    return 0


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            "input.not_text",
            f"stdin is no text in UTF-8, from byte {error.start + 1} on; convert it first, such as with: iconv -f "
            "latin1 -t utf-8",
        ) from None


def _document(redacted: "Redacted") -> "dict[str, Json]":
    return {
        "text": redacted.text,
        "decision": redacted.decision,
        "findings": [_finding(each) for each in redacted.findings],
    }


def _finding(acted: "Acted") -> "Json":
    found: Json = msgspec.to_builtins(acted)
    assert isinstance(found, dict), "a struct is a mapping"
    return {key: value for key, value in found.items() if key not in ("context", "path") or value}
