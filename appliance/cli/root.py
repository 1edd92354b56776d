"""`af` itself: the names of its commands. Imports none of them."""

import click

from appliance.cli.command import Group, Lazy

COMPLETE = "_AF_COMPLETE"
"""The variable by which a shell asks for completions."""

START, RUN, BUILD, OPERATE = "First steps", "Run and look", "Build", "Operate"

COMMANDS = {
    "demo": Lazy("appliance.cli.demo", "Answer three customers of a bank, offline.", START),
    "doctor": Lazy("appliance.cli.doctor", "Check this machine, and say what mends it.", START),
    "run": Lazy("appliance.cli.run", "Run a workflow, once or for every line of a file.", RUN),
    "plan": Lazy("appliance.cli.plan", "Say what a run will take, before it begins.", RUN),
    "runs": Lazy("appliance.cli.runs", "List, show, explain, signal, cancel and resume runs.", RUN),
    "logs": Lazy("appliance.cli.logs", "Show what happened in a run.", RUN),
    "traces": Lazy("appliance.cli.traces", "Show what a run did when, as spans.", RUN),
    "replay": Lazy("appliance.cli.replay", "Decide a run again, and name the first difference.", RUN),
    "what-if": Lazy("appliance.cli.what_if", "Suppose something else of a run, and see what comes of it.", RUN),
    "init": Lazy("appliance.cli.templates", "Begin a project from a template.", BUILD),
    "templates": Lazy("appliance.cli.templates", "List the templates.", BUILD),
    "workflows": Lazy("appliance.cli.workflows", "List the workflows that can be run.", BUILD),
    "agent": Lazy("appliance.cli.agent", "Add an agent to a project.", BUILD),
    "schema": Lazy("appliance.cli.schema", "Print the JSON Schema of workflow files, for editors.", BUILD),
    "validate": Lazy("appliance.cli.validate", "Name every problem in definitions.", BUILD),
    "test": Lazy("appliance.cli.scenarios", "Run a project's scenarios, offline.", BUILD),
    "build": Lazy("appliance.cli.deploy", "Write a project into one file, to be deployed elsewhere.", BUILD),
    "deploy": Lazy("appliance.cli.deploy", "Publish a project here, and say what that changes.", BUILD),
    "rollback": Lazy("appliance.cli.deploy", "Publish once more what had a name before.", BUILD),
    "dev": Lazy("appliance.cli.dev", "Check and test a project at every save; serve it.", BUILD),
    "simulate": Lazy("appliance.cli.simulate", "Drive a plan with scripted results.", BUILD),
    "memory": Lazy("appliance.cli.memory", "Fill and search memory; forget sessions.", BUILD),
    "serve": Lazy("appliance.cli.serve", "Serve the HTTP API and go on with open runs.", OPERATE),
    "mcp": Lazy("appliance.cli.mcp", "Use tools of other programs, offer workflows to them.", OPERATE),
    "models": Lazy("appliance.cli.models", "Fetch, add, verify and remove local models.", OPERATE),
    "config": Lazy("appliance.cli.config", "Show and change settings.", OPERATE),
    "tui": Lazy("appliance.cli.tui", "Watch and steer what runs; also in a browser.", OPERATE),
    "backup": Lazy("appliance.cli.backup", "Copy the journal to a file, while in use.", OPERATE),
    "encrypt": Lazy("appliance.cli.encrypt", "Encrypt a data folder that is plain.", OPERATE),
    "costs": Lazy("appliance.cli.costs", "Show what was spent, and what is left.", OPERATE),
    "audit": Lazy("appliance.cli.audit", "List what left and what was refused; verify the log.", OPERATE),
    "bus": Lazy("appliance.cli.bus", "Show messages and who takes them; retry, replay.", OPERATE),
    "threats": Lazy("appliance.cli.threats", "Show unusual use of tools, and why it is.", OPERATE),
    "human": Lazy("appliance.cli.human", "List, take, assign and answer what waits for people.", OPERATE),
    "triggers": Lazy("appliance.cli.triggers", "List, fire and pause what starts runs by itself.", OPERATE),
    "tickets": Lazy("appliance.cli.tickets", "List and close tickets, notices and mails.", OPERATE),
    "uplink": Lazy("appliance.cli.uplink", "Forward what runs say to a broker elsewhere.", OPERATE),
    "redact": Lazy("appliance.cli.redact", "Show what a text looks like when it leaves.", OPERATE),
    "tools": Lazy("appliance.cli.tools", "Show, grant and call tools, and say who may and why.", OPERATE),
    "wasm": Lazy("appliance.cli.wasm", "Make WebAssembly ready, and try modules.", OPERATE),
    "secrets": Lazy("appliance.cli.secrets", "Keep keys and passwords encrypted, by name.", OPERATE),
    "vault": Lazy("appliance.cli.vault", "Count, purge and erase what pseudonyms stand for.", OPERATE),
    "bench": Lazy("appliance.cli.bench", "Measure this machine.", OPERATE),
    "completion": Lazy("appliance.cli.completion", "Print the shell's completion script.", OPERATE),
    "version": Lazy("appliance.cli.version", "Print versions.", OPERATE),
}


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from appliance.cli.version import own_version

        click.echo(f"af {own_version()}")
        ctx.exit()


@click.group(
    cls=Group,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples="""
        af demo support
        af run support --input '{"message": "My card was swallowed, what now?"}'
        af runs list
    """,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def af() -> None:
    """Teams of AI agents as durable, replayable workflows on this machine.

    Exit codes: 0 fine, 1 ran and failed, 2 bad input, 3 refused, 4 something is missing or busy.
    """
