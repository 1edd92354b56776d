"""`af simulate --ticks`: a behaviour tree, ticked again and again, its leaves answering as scripted."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.context import Af
from appliance.cli.documents import read_document
from runtime.errors import Invalid

if TYPE_CHECKING:
    from runtime.domain.tree import TreeNode
    from runtime.engine.trace import Call

COLORS = {"S": "green", "F": "red", "R": "yellow"}


def simulate_tree(af: Af, name: str, *, outcomes: str, ticks: int) -> None:
    """Tick the tree of a file or a workflow, and show what each tick called."""
    from runtime.engine.trace import letters_of, trace

    tree = _tree(af, name)
    script = letters_of(read_document(outcomes, "--outcomes"))
    found = trace(tree, script, ticks=ticks)
    for number, ticked in enumerate(found.ticks, 1):
        af.terminal.say(f"{number:>5}  {ticked.root:<8} {' '.join(map(_styled, ticked.log))}".rstrip())
    if found.halt:
        af.terminal.say(f" halt  {'':<8} {' '.join(map(_styled, found.halt))}")
    leaves = {leaf for node in tree.nodes() if not node.children for leaf in (node.leaf,)}
    leaves |= {expression for node in tree.nodes() for expression in node.expressions}
    for leaf in sorted(script.keys() - leaves):
        af.terminal.complain(f"warning: outcomes name {leaf!r}, which is no leaf of this tree")
    af.terminal.document(
        {
            "ticks": [{"root": ticked.root, "log": [_entry(call) for call in ticked.log]} for ticked in found.ticks],
            "halt": [_entry(call) for call in found.halt],
        }
    )


def _tree(af: Af, name: str) -> "TreeNode":
    from appliance.cli.catalogue import find_definition
    from appliance.loader import load_tree

    if Path(name).is_file():
        return load_tree(Path(name))
    definition = asyncio.run(find_definition(af.settings, name))
    if definition.tree is None:
        raise Invalid(
            "tree.none", f"workflow {definition.name!r} is not planned by a behaviour tree; leave --ticks out"
        )
    return definition.tree


def _entry(call: "Call") -> list[str]:
    return [call.leaf, call.what, *([call.letter] if call.letter else [])]


def _styled(call: "Call") -> str:
    if not call.letter:
        return click.style(f"{call.leaf}:halt", dim=True)
    mark = "" if call.what == "start" else "…"
    return f"{mark}{call.leaf}:{click.style(call.letter, fg=COLORS[call.letter])}"
