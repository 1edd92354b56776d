"""What arguments may be: names that a shell can complete, durations."""

import click
from click.shell_completion import CompletionItem

from runtime.errors import AgentFlowError


class WorkflowName(click.ParamType[str]):
    """A workflow: its name, a file, or a folder."""

    name = "workflow"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Templates and published workflows, then files."""
        from appliance.cli.catalogue import known_names
        from appliance.cli.context import Af

        af = ctx.find_root().ensure_object(Af)
        try:
            names = [name for name in known_names(af.settings) if name.startswith(incomplete)]
        except AgentFlowError:  # a shell that completes has no place for it
            names = []
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


class RunName(click.ParamType[str]):
    """A run: its id, a unique beginning or end of it, or `last`."""

    name = "run"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The newest runs that begin or end like this."""
        import asyncio

        from appliance.cli.context import Af
        from appliance.cli.journal import open_journal

        async def newest() -> list[CompletionItem]:
            async with open_journal(ctx.find_root().ensure_object(Af).settings) as store:
                summaries = await store.runs(limit=50)
            return [
                CompletionItem(summary.run, help=f"{summary.workflow} {summary.status}")
                for summary in summaries
                if summary.run.startswith(incomplete)
            ]

        return asyncio.run(newest())


class Duration(click.ParamType[int]):
    """A duration such as `90s`, in milliseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it; a bare number is seconds."""
        from runtime.domain.units import milliseconds

        try:
            is_number = isinstance(value, str) and value.replace(".", "", 1).isdigit()
            return milliseconds(float(str(value)) if is_number else value)
        except ValueError as expected:
            self.fail(str(expected), param, ctx)


WORKFLOW = WorkflowName()
RUN = RunName()
DURATION = Duration()
