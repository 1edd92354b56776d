"""`af secrets`: keep keys and passwords encrypted, by name. Nothing shows a value, and no argument is one."""

import logging
import os
import secrets as random_source
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from runtime.errors import Invalid, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.audit.notes import Noted
    from runtime.domain.ids import TenantId
    from runtime.store.secrets import SecretLine, SecretStore

GENERATED_BYTES = 32
_MOST_BYTES = 1_000_000

log = logging.getLogger(__name__)


class SecretView(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one secret."""

    name: str
    reference: str
    version: int
    versions: list[int]
    changed_at: str
    hosts: list[str]


@click.group(
    cls=Group,
    examples="""
        umask 077; openssl rand -hex 32 > ~/agentflow.master
        export AGENTFLOW_MASTER_KEY_FILE=~/agentflow.master
        af secrets set vllm --host gpu-1.example
        af secrets list
    """,
)
def secrets() -> None:
    """Keep keys and passwords encrypted, and name them as secret://NAME.

    Values are encrypted under a master key: AGENTFLOW_MASTER_KEY_FILE, AGENTFLOW_MASTER_PASSPHRASE_FILE, or the
    credential agentflow.master of systemd. They are read from a prompt, from stdin or from a file, and shown by
    nothing.
    """


_TENANT = click.option("--tenant", default="default", show_default=True, help="Whose secrets.")
_FILE = click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="Read the value from this file, to its last byte."
)
_GENERATE = click.option("--generate", is_flag=True, help="Draw a random value; nobody sees it.")


@secrets.command(
    "set",
    examples="""
        af secrets set vllm
        af secrets set smtp --host mail.example < password.txt
        af secrets set signing --generate
    """,
)
@click.argument("name")
@_FILE
@_GENERATE
@click.option("--host", "hosts", multiple=True, metavar="HOST[:PORT]", help="Where it may be sent; may be repeated.")
@_TENANT
@pass_af
def set_secret(
    af: Af, name: str, *, file: Path | None, generate: bool, hosts: tuple[str, ...], tenant: "TenantId"
) -> None:
    """Keep a value as secret://NAME; one that has the name already gets a new version.

    Without --file the value is asked for, and not shown, or read from stdin, without the end of its last line.
    """
    store = _store(af)
    value = _value(af, name, file=file, generate=generate)
    _tell(af, "secret.set", tenant, name)
    version = store.put(tenant, name, value, hosts=hosts or None)
    _note(af, "kept", tenant, name, version)
    af.terminal.say(f"secret://{name}  version {version}" + (f"  for {', '.join(hosts)}" if hosts else ""))
    af.terminal.document({"name": name, "reference": f"secret://{name}", "version": version})


@secrets.command("list", examples="af secrets list --json | jq -r '.secrets[].name'")
@_TENANT
@pass_af
def list_secrets(af: Af, tenant: "TenantId") -> None:
    """List names, versions and hosts; never values."""
    from appliance.cli.terminal import printable, table
    from runtime.domain.journal import rfc3339

    found = [
        SecretView(
            name=line.name,
            reference=f"secret://{line.name}",
            version=line.version,
            versions=list(line.versions),
            changed_at=rfc3339(line.changed_us),
            hosts=list(line.hosts),
        )
        for line in _lines(af, tenant)
    ]
    if found:
        rows = [
            (printable(each.reference), str(each.version), each.changed_at[:16], ", ".join(each.hosts) or "any")
            for each in found
        ]
        af.terminal.say(table(("SECRET", "VERSION", "CHANGED", "HOSTS"), rows, right=(1,)))
    else:
        af.terminal.say(f"tenant {tenant} has no secrets; keep one with: {af.me} secrets set NAME")
    af.terminal.document({"tenant": tenant, "secrets": found})


@secrets.command(
    "rotate",
    examples="""
        af secrets rotate vllm
        af secrets rotate signing --generate
        af secrets rotate --keys
    """,
)
@click.argument("name", required=False)
@_FILE
@_GENERATE
@click.option("--keys", "is_of_keys", is_flag=True, help="Encrypt every secret anew instead, with a new key.")
@_TENANT
@pass_af
def rotate_secret(
    af: Af, name: str | None, *, file: Path | None, generate: bool, is_of_keys: bool, tenant: "TenantId"
) -> None:
    """Give a secret that is there a new value; older ones stay, as secret://NAME@VERSION.

    With --keys the values stay, and the tenant gets a new key under the master key in use. To change the master key,
    put the new one above the old one in its file, call this, then take the old one out.
    """
    if is_of_keys == (name is not None):
        raise click.UsageError("name the secret, or give --keys")
    store = _store(af)
    if name is None:
        _tell(af, "secret.rotated", tenant, "keys")
        count = store.renew_key(tenant)
        rewrapped = _rewrap(af)
        log.info("the key of the secrets of tenant %s was renewed", tenant)
        af.terminal.say(f"{count} values are encrypted with a new key; {rewrapped} more keys are under the new master")
        af.terminal.document({"tenant": tenant, "values": count, "rewrapped": rewrapped})
        return
    if not any(line.name == name for line in store.list(tenant)):
        raise NotFound("secret.unknown", f"tenant {tenant!r} has no secret {name!r}; keep it with: af secrets set")
    value = _value(af, name, file=file, generate=generate)
    _tell(af, "secret.rotated", tenant, name)
    version = store.put(tenant, name, value)
    _note(af, "rotated", tenant, name, version)
    af.terminal.say(f"secret://{name}  version {version}; the one before is secret://{name}@{version - 1}")
    af.terminal.document({"name": name, "reference": f"secret://{name}", "version": version})


@secrets.command("rm", examples="af secrets rm vllm")
@click.argument("name")
@_TENANT
@pass_af
def remove_secret(af: Af, name: str, tenant: "TenantId") -> None:
    """Forget a secret and all its versions; what names it is refused from now on."""
    store = _store(af)
    if any(line.name == name for line in store.list(tenant)):  # else it is refused by its name below
        _tell(af, "secret.removed", tenant, name)
    store.remove(tenant, name)
    _note(af, "removed", tenant, name, 0)
    af.terminal.say(f"secret://{name} is gone")
    af.terminal.document({"name": name, "removed": True})


def _store(af: Af) -> "SecretStore":
    from appliance.secrets import no_master
    from runtime.engine.clock import SystemClock
    from runtime.store.keyring import keyring_of
    from runtime.store.secrets import SecretStore

    af.open_log()
    if af.settings.secrets.provider == "openbao":
        where = f"{af.settings.secrets.mount}/{af.settings.secrets.path}/TENANT/NAME"
        raise Refused(
            "secret.read_only",
            f"secrets are kept at {af.settings.secrets.url}, and are changed with its own tools: bao kv put {where} "
            "value=-",
        )
    keyring = keyring_of(os.environ, af.settings.data)
    if keyring is None:
        raise no_master()
    return SecretStore(af.settings.data, keyring, SystemClock().now_us)


def _lines(af: Af, tenant: "TenantId") -> "Sequence[SecretLine]":
    if af.settings.secrets.provider == "file":
        return _store(af).list(tenant)
    return af.run(_listed(af, tenant))


async def _listed(af: Af, tenant: "TenantId") -> "Sequence[SecretLine]":
    from appliance.wiring import Appliance

    appliance = Appliance(msgspec.structs.replace(af.settings, drain_s=0.0), what="af secrets list", known=af.known)
    await appliance.start(recover=False)
    try:
        return await appliance.secrets.list(tenant)
    finally:
        await appliance.stop()


def _rewrap(af: Af) -> int:
    from runtime.store.keyring import keyring_of

    keyring = keyring_of(os.environ, af.settings.data)
    return 0 if keyring is None else keyring.rewrap()


def _value(af: Af, name: str, *, file: Path | None, generate: bool) -> str:
    """The value that was given; masked in whatever this process writes from now on."""
    if file is not None and generate:
        raise click.UsageError("give --file or --generate, not both")
    if generate:
        value = random_source.token_urlsafe(GENERATED_BYTES)
    elif file is not None:
        value = _decoded(_read(file), str(file))
    elif sys.stdin.isatty():
        value = click.prompt(f"Value of secret://{name}", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = _decoded(sys.stdin.buffer.read(_MOST_BYTES), "stdin").removesuffix("\n").removesuffix("\r")
    af.known.add(name, value)
    return value


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except OSError as error:
        raise Unavailable("secret.file", f"{file} can't be read: {error.strerror}", retryable=False) from None


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Invalid("secret.no_text", f"{where} holds bytes that are no text; encode them, as with base64") from None


def _tell(af: Af, event: "Noted", tenant: "TenantId", name: str) -> None:
    """Have the audit log say that a secret is about to be changed; the name alone, checked before anything is said."""
    from appliance.audit.notes import Note, note
    from runtime.domain.secret import check_name

    check_name(name)
    af.run(note(af.settings, Note(event=event, subject=name, tenant=tenant)))


def _note(af: Af, what: str, tenant: "TenantId", name: str, version: int) -> None:
    log.info("secret %s of tenant %s was %s%s", name, tenant, what, f", version {version}" if version else "")
