"""`af config`: the settings, where each comes from, and how to change them."""

import os

import click
import msgspec

from appliance.cli.command import Group
from appliance.cli.context import Af, pass_af
from appliance.cli.terminal import clip, compact, paragraphs, table

VALUE_ROOM = 44
"""Characters of a value in the list; `config get` and `--verbose` have all of it."""


@click.group(
    cls=Group,
    examples="""
        af config list
        af config set mode air_gapped
        af config set models.aliases.openai/gpt-4 local/smollm2-135m-instruct
    """,
)
def config() -> None:
    """Show and change settings: `config.yaml` in the data folder, then AGENTFLOW_* variables, then flags."""


@config.command("list", examples="af config list --verbose")
@pass_af
def list_settings(af: Af) -> None:
    """List every setting, its value, and what gave it."""
    from appliance.config.known import SETTINGS
    from appliance.config.sources import resolve

    found = resolve(af.data_folder, os.environ, {})
    rows = [(known.key, compact(found[known.key].value or "–"), found[known.key].source) for known in SETTINGS]
    if af.terminal.is_verbose:
        for known, (key, value, source) in zip(SETTINGS, rows, strict=True):
            af.terminal.say(f"{click.style(key, bold=True)}: {value}  ({source}; {known.variable})")
            af.terminal.say(paragraphs(known.about, indent=4))
    else:
        cut = [(key, clip(value, VALUE_ROOM), source) for key, value, source in rows]
        af.terminal.say(table(("SETTING", "VALUE", "FROM"), cut))
        af.terminal.say(f"\nfile: {af.data_folder / 'config.yaml'}   what each is for: af config list --verbose")
    af.terminal.document(
        {known.key: {**msgspec.structs.asdict(found[known.key]), "about": known.about} for known in SETTINGS}
    )


@config.command("get", examples="af config get mode")
@click.argument("key")
@pass_af
def show_setting(af: Af, key: str) -> None:
    """Print the value of one setting."""
    from appliance.config.sources import find, resolve

    known = find(key, "command line")
    found = resolve(af.data_folder, os.environ, {})[known.key]
    af.terminal.say(compact(found.value))
    af.terminal.note(f"{known.about}; from {found.source}")
    af.terminal.document({"key": known.key, "value": found.value, "source": found.source, "about": known.about})


@config.command(
    "set",
    examples="""
        af config set durability normal
        af config set site_hosts gpu-1.example,gpu-2.example
        af config set models.aliases.openai/gpt-4 local/smollm2-135m-instruct
    """,
)
@click.argument("key")
@click.argument("value")
@pass_af
def change_setting(af: Af, key: str, value: str) -> None:
    """Set KEY to VALUE in the data folder's `config.yaml`."""
    _change(af, key, value)


@config.command("unset", examples="af config unset mode")
@click.argument("key")
@pass_af
def unset_setting(af: Af, key: str) -> None:
    """Take KEY out of `config.yaml`, so that its default counts again."""
    _change(af, key, None)


def _change(af: Af, key: str, value: str | None) -> None:
    from appliance.config.edit import set_value
    from appliance.config.known import setting

    kept = set_value(af.data_folder, key, value)
    known = setting(key)
    af.terminal.say(f"{key}: {'default' if kept is None else compact(kept)}")
    if known is not None and os.environ.get(known.variable):
        af.terminal.note(f"{known.variable} is set and still decides")
    af.terminal.note("a running `af serve` reads it at its next start")
    af.terminal.document({"key": key, "value": kept, "file": str(af.data_folder / "config.yaml")})
