"""Every command can be found, called and understood from its own help."""

import click
import pytest

from appliance.cli.command import Group
from appliance.cli.root import COMMANDS
from appliance.cli.root import af as root
from tests.appliance.cli.conftest import Af


def commands() -> list[tuple[str, ...]]:
    """The path of every command there is."""
    found: list[tuple[str, ...]] = []
    context = click.Context(root, info_name="af")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        found.append((name,))
        if isinstance(command, Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_help_has_a_summary_and_examples(af: Af, path: tuple[str, ...]) -> None:
    """Somebody reads it at three in the morning, and copies an example."""
    said = af(*path, "--help")
    assert 0 == said.code
    assert f"Usage: af {' '.join(path)}" in said.out
    assert "Examples:\n" in said.out
    assert "--json" in said.out
    assert max(len(line) for line in said.out.split("Examples:")[0].splitlines()) <= 80


def test_no_summary_ends_in_the_middle() -> None:
    """Of each command in its group's help: a whole phrase, on one line of eighty columns."""
    context = click.Context(root, info_name="af")
    groups = [root.get_command(context, name) for name in root.list_commands(context)]
    told = [line for group in groups if isinstance(group, Group) for line in group._summaries(context)]
    assert [] == [line for line in told if line[1].endswith("...") or len(line[1]) > 66 or not line[1].endswith(".")]


def test_the_help_of_af_names_every_command(af: Af) -> None:
    """It is written from the table, without importing a command."""
    said = af("--help")
    assert [] == [name for name in COMMANDS if f"  {name} " not in said.out]


def test_a_mistyped_command_names_the_nearest(af: Af) -> None:
    """The most frequent mistake of all."""
    said = af("validat", "x.yaml")
    assert (2, "") == (said.code, said.out)
    assert "did you mean 'validate'?" in said.err


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("why", "did you mean 'runs why' or 'tools why'?"),
        ("list", "did you mean 'runs list' or "),
        ("metrics", "there are: demo"),
    ],
)
def test_a_command_of_a_group_is_found(af: Af, typed: str, told: str) -> None:
    """At night nobody remembers in which group it is; one that only sounds alike is no advice."""
    said = af(typed, "last")
    assert (2, True) == (said.code, told in said.err), said.err


def test_an_option_of_af_may_stand_anywhere(af: Af) -> None:
    """Nobody remembers which options come before the command."""
    assert af("--json", "version").document == af("version", "--json").document


def test_no_arguments_show_the_help(af: Af) -> None:
    """As usage does: on stderr, exit code 2."""
    said = af()
    assert (2, "") == (said.code, said.out)
    assert "First steps:" in said.err


@pytest.mark.parametrize(("shell", "holds"), [("bash", "complete -o"), ("zsh", "#compdef af"), ("fish", "complete ")])
def test_completion_prints_a_script(af: Af, shell: str, holds: str) -> None:
    """Sourced once, it completes commands, options, workflows and runs."""
    said = af("completion", shell)
    assert 0 == said.code
    assert holds in said.out
