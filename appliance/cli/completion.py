"""`af completion`: the script that makes a shell complete `af`."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from appliance.cli.command import Command
from appliance.cli.context import Af, pass_af

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    cls=Command,
    examples="""
        source <(af completion bash)
        af completion zsh > "${fpath[1]}/_af"
        af completion fish > ~/.config/fish/completions/af.fish
    """,
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@pass_af
def completion(af: Af, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and names."""
    from appliance.cli.root import COMPLETE

    complete = SHELLS[shell](click.get_current_context().find_root().command, {}, "af", COMPLETE)
    script = complete.source_template % complete.source_vars()
    af.terminal.say(script)
    af.terminal.document({"shell": shell, "script": script})
