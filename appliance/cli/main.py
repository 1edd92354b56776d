"""Runs `af` and turns whatever happens into one line and an exit code."""

import os
import sys
from contextlib import suppress

import click
import msgspec
from click.shell_completion import shell_complete

from appliance.cli.context import Af
from appliance.cli.failures import INTERRUPTED, READER_GONE, failure_of, report
from appliance.cli.root import COMPLETE, af


def run(arguments: list[str]) -> int:
    """Run the command line; return the exit code. Never raises, never prints a traceback."""
    invocation = Af()
    # a usage error is found before --json is parsed
    invocation.terminal.is_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can't show → still runs
    try:
        code = _invoke(arguments, invocation)
        sys.stdout.flush()
        return code
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message(), err=True)
        return asked.exit_code
    except (KeyboardInterrupt, click.Abort):
        line_end = "\n" if sys.stderr.isatty() else ""  # behind the ^C that the terminal has drawn
        parting = f"; {invocation.parting}" if invocation.parting else ""
        invocation.terminal.complain(f"{line_end}interrupted{parting}")
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return READER_GONE
    except Exception as error:  # the edge: whatever it is, one line
        return _say(error, invocation)
    finally:
        invocation.close()


def _invoke(arguments: list[str], invocation: Af) -> int:
    """Run the command. Not through click's `main`, which ends the process when a reader has gone."""
    if instruction := os.environ.get(COMPLETE):
        return shell_complete(af, {"obj": invocation}, "af", COMPLETE, instruction)
    with af.make_context("af", arguments, obj=invocation) as context:
        code = af.invoke(context)
        return code if isinstance(code, int) else 0


def _say(error: Exception, invocation: Af) -> int:
    with suppress(Exception):
        invocation.open_log()
    failure = failure_of(error, invocation.data_folder / "logs" / "af.log")
    failure = msgspec.structs.replace(failure, message=invocation.masked(failure.message))
    try:
        report(failure, invocation.terminal)
        sys.stdout.flush()
    except OSError:
        _forget_stdout()
    return failure.exit_code


def _forget_stdout() -> None:
    """Point stdout nowhere, so that its last flush at exit complains about nothing."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
