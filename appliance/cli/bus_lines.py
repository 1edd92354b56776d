"""A message of the bus as one line."""

import click

from appliance.bus import MessageLine
from appliance.cli.context import Af
from appliance.cli.terminal import clip, columns, compact, printable
from appliance.cli.units import clock_time, microseconds


def draw_message(af: Af, line: MessageLine) -> None:
    """One message on a line: when, where, what; as JSON where that is asked for."""

    if af.terminal.is_json:
        af.terminal.line(line)
        return
    envelope = line.envelope
    head = f"{clock_time(microseconds(str(envelope['at'])))} {line.position:>6}  "
    run = str(envelope.get("run", ""))
    subject = str(envelope["subject"]).replace(f".{run}.", f".…{run[-5:]}.") if run else envelope["subject"]
    text = f"{printable(subject)}  {compact(envelope.get('payload'))}"
    af.terminal.say(click.style(head, dim=True) + clip(text, max(20, columns() - len(head))))
