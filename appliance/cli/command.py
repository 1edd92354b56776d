"""The commands of `af` as click knows them: options that stand anywhere, examples in every help, lazy groups.

A group knows the names and one-line summaries of its commands; their modules are imported when one is called.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from appliance.cli.context import Af

MOST = 64
"""Letters of a summary: it stands beside the command's name on a line of 80."""
MAX_NEAR = 3
"""Commands that a mistyped one may have meant."""


class Lazy(NamedTuple):
    """A command that has not been imported."""

    module: str
    """Where it is, as `name` in this module."""
    summary: str
    section: str = "Commands"


class Command(click.Command):
    """A command with examples, that takes the options of `af` itself too."""

    def __init__(self, *arguments: Any, examples: str = "", **settings: Any) -> None:  # noqa: ANN401  # click's own
        super().__init__(*arguments, **settings)
        self.examples = examples

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters and those that stand anywhere, unless it uses their name for something else."""
        own = super().get_params(ctx)
        taken = {spelling for param in own for spelling in param.opts}
        return [*own, *(option for option in ANYWHERE if taken.isdisjoint(option.opts))]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options first, then those that stand anywhere."""
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        _write_examples(self.examples, formatter)


class Group(click.Group):
    """A group whose commands are imported when called."""

    command_class = Command

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401  # click's own
        examples: str = "",
        lazy: Mapping[str, Lazy] | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples
        self.lazy = lazy or {}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters and those that stand anywhere."""
        return [*super().get_params(ctx), *ANYWHERE]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which they are shown: what the group's own module holds is used most."""
        return [*(name for name in self.commands if name not in self.lazy), *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; imports its module."""
        if cmd_name not in self.commands and cmd_name in self.lazy:
            found = getattr(importlib.import_module(self.lazy[cmd_name].module), cmd_name.replace("-", "_"))
            assert isinstance(found, click.Command), f"{cmd_name} is a command"
            self.add_command(found, cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called. Raises UsageError, naming the nearest one."""
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            near = self._within(ctx, args[0]) or get_close_matches(args[0], self.list_commands(ctx), n=1, cutoff=0.65)
            said = " or ".join(map(repr, near[:MAX_NEAR]))
            advice = f"did you mean {said}?" if near else f"there are: {', '.join(self.list_commands(ctx))}"
            raise click.UsageError(f"{ctx.command_path} has no command {args[0]!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)

    def _within(self, ctx: click.Context, name: str) -> list[str]:
        """Where a command of this name is: `runs why`. Imports every group, which only a mistake is worth."""
        groups = {each: self.get_command(ctx, each) for each in self.list_commands(ctx)}
        return [
            f"{each} {name}"
            for each, group in groups.items()
            if isinstance(group, Group) and name in group.list_commands(ctx)
        ]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands that begin like this, without importing them; options when a dash was typed."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=summary) for name, summary in self._summaries(ctx) if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, without importing them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, summary in self._summaries(ctx):
            section = self.lazy[name].section if name in self.lazy else "Commands"
            sections.setdefault(section, []).append((name, summary))
        longest = max(len(name) for name in self.list_commands(ctx))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), summary) for name, summary in rows])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands first: they are what people look for."""
        self.format_commands(ctx, formatter)
        _write_options(self.get_params(ctx), ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        _write_examples(self.examples, formatter)

    def _summaries(self, ctx: click.Context) -> Sequence[tuple[str, str]]:
        return [
            (name, self.lazy[name].summary if name in self.lazy else summary_of(self.commands[name]))
            for name in self.list_commands(ctx)
        ]


def summary_of(command: click.Command) -> str:
    """The first sentence of a command's help, or as many of its clauses as fit on a line; never half a clause."""
    said = command.short_help or " ".join((command.help or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z`)]\.)\s", said)[0]
    if len(sentence) <= MOST:
        return sentence
    cut = re.search(r"(: | \()", sentence[:MOST])  # what follows is a list, of which half would be told
    ends = [cut.start()] if cut else [found.start() for found in re.finditer(r"[,;] ", sentence[:MOST])]
    return f"{sentence[: ends[-1]]}." if ends else command.get_short_help_str(MOST)


def _set_data(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().obj.data = value


def _set_terminal(attribute: str, value: bool) -> Callable[[click.Context, click.Parameter, bool], None]:
    def set_it(ctx: click.Context, _: click.Parameter, is_given: bool) -> None:
        if is_given and ctx.find_root().obj is not None:
            found = ctx.find_root().obj
            assert isinstance(found, Af), "the root context holds the invocation"
            setattr(found.terminal, attribute, value)

    return set_it


def _flag(name: str, attribute: str, help_text: str, *, value: bool = True) -> click.Option:
    return click.Option(
        [name], is_flag=True, expose_value=False, callback=_set_terminal(attribute, value), help=help_text
    )


ANYWHERE: tuple[click.Option, ...] = (
    click.Option(
        ["--data"],
        type=click.Path(path_type=Path),
        metavar="DIR",
        expose_value=False,
        callback=_set_data,
        help="The data folder; otherwise AGENTFLOW_DATA, then ~/.local/share/agentflow.",
    ),
    _flag("--json", "is_json", "Write JSON to stdout, and nothing else there."),
    _flag("--quiet", "is_quiet", "Write nothing to stderr but errors."),
    _flag("--verbose", "is_verbose", "Write more to stderr."),
    _flag("--no-color", "has_color", "Write no colours; so does NO_COLOR.", value=False),
)


def _write_options(params: Sequence[click.Parameter], ctx: click.Context, formatter: click.HelpFormatter) -> None:
    anywhere = {"--help", *(spelling for option in ANYWHERE for spelling in option.opts)}
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for option in params:
        record = option.get_help_record(ctx)
        if record is not None and isinstance(option, click.Option):
            (own if anywhere.isdisjoint(option.opts) or option.expose_value else shared).append(record)
    for title, records in (("Options", own), ("Everywhere", shared)):
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


def _write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Examples"):
            for line in examples.strip().splitlines():
                formatter.write(f"{'':>{formatter.current_indent}}{line.strip()}\n")
