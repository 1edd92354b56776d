"""One invocation of `af`: its options, its settings and its terminal."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from appliance.cli.terminal import Terminal

if TYPE_CHECKING:
    from appliance.config.settings import Settings
    from redaction.known import KnownSecrets

Answer = TypeVar("Answer")


class Af:
    """What every command gets."""

    def __init__(self) -> None:
        self.terminal = Terminal()
        self.data: Path | None = None
        self.parting = ""
        """What to say when this is interrupted now."""
        self.is_sealed = False
        """Whether a rehearsal is inside the air gap, as the user's own settings have it."""
        self.is_rehearsal = False
        """Whether what is run is not in earnest: what it warns of goes to its log alone."""
        self._has_log = False

    @cached_property
    def known(self) -> "KnownSecrets":
        """Values that are masked wherever this process writes."""
        from redaction.known import KnownSecrets

        return KnownSecrets()

    def masked(self, text: str) -> str:
        """A text without the secrets that this process has come to know."""
        return self.known.mask_text(text) if "known" in self.__dict__ else text  # else there are none

    def masked_fields(self, fields: dict[str, object]) -> dict[str, object]:
        """The same for the fields of a record, which are JSON."""
        if "known" not in self.__dict__:
            return fields
        return {name: self.known.mask(value) for name, value in fields.items()}  # type: ignore[arg-type]  # it is JSON

    @cached_property
    def settings(self) -> "Settings":
        """The settings; read when first needed. Raises Invalid and Unavailable."""
        from appliance.config.settings import load_settings

        return load_settings(self.data, os.environ)

    @property
    def data_folder(self) -> Path:
        """The data folder, also when the settings in it cannot be read."""
        from appliance.config.settings import data_folder

        return data_folder(self.data, os.environ)

    @cached_property
    def me(self) -> str:
        """How to call this program for the same data folder again, in commands that are suggested."""
        import shlex

        return f"{program()} --data {shlex.quote(str(self.data))}" if self.data else program()

    def open_log(self) -> None:
        """Keep log records from here on, and warn of what needs warning."""
        from appliance.cli import logbook

        logbook.open_log(self)
        self._has_log = True

    def run_sealed(self, work: Coroutine[object, object, Answer]) -> Answer:
        """As `run`, inside the air gap where the settings ask for one: for commands in which agents or models work."""
        try:
            if self.settings.mode == "air_gapped":
                from appliance.airgap import enter
                from runtime.engine.clock import SystemClock

                entered = enter(self.settings, SystemClock().now_us)
                self.open_log()
                entered.settle()
        except BaseException:
            work.close()
            raise
        return self.run(work)

    def close(self) -> None:
        """Close the log."""
        if self._has_log:
            from appliance.cli import logbook

            logbook.close_log()

    def run(self, work: Coroutine[object, object, Answer]) -> Answer:
        """Run asynchronous work to its end; Ctrl-C cancels it, lets it clean up, and then interrupts."""
        try:
            self.open_log()
        except BaseException:
            work.close()
            raise
        return asyncio.run(work)


def program() -> str:
    """`af` where the shell finds it, else what was typed: `.venv/bin/af`, or the one file."""
    import shlex
    import shutil

    typed = Path(sys.argv[0])
    if typed.suffix == ".pyz":
        return f"python3 {shlex.quote(str(typed))}"
    if typed.name != "af" or ((found := shutil.which("af")) and Path(found).samefile(typed)):
        return "af"
    return shlex.quote(str(typed))


pass_af = click.make_pass_decorator(Af)
