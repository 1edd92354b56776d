"""Asking what would have been: what is said on the command line or over HTTP, made into a run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from runtime.domain.canonical import Json
from runtime.domain.event import Answers, RunMigrated, RunStarted, WhatIf
from runtime.domain.ids import DefinitionHash, RunId
from runtime.domain.workflow import Workflow
from runtime.engine.simulate import script_of
from runtime.engine.what_if import change_of
from runtime.errors import Invalid, NotFound

if TYPE_CHECKING:
    from appliance.wiring import Appliance


class Supposition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is supposed of a run."""

    at: Annotated[
        int, Meta(ge=0, description="Up to this journal entry things are taken as they stand; 0: up to the change.")
    ] = 0
    set: Annotated[
        dict[str, Json], Meta(description="`STEP.result.FIELD`, or `input.FIELD` → the value that it is to have.")
    ] = {}
    definition: Annotated[str, Meta(max_length=200, description="Another definition: its hash, or a workflow.")] = ""
    models: Annotated[
        dict[str, str], Meta(description="A model or an agent of the definition → the model to ask instead.")
    ] = {}
    answers: Annotated[
        Answers, Meta(description="What answers where no recorded answer fits: the models, a script, or what was said.")
    ] = "live"
    script: Annotated[
        dict[str, Json], Meta(description="With `answers: scripted`: states → outcomes, as for `af simulate`.")
    ] = {}
    live_tools: Annotated[bool, Meta(description="Let tools and requests have their effect.")] = False


async def suppose(
    appliance: "Appliance",
    run: RunId,
    supposed: Supposition,
    *,
    definition: Workflow | None = None,
    actor: str = "",
    role: str = "",
) -> RunId:
    """Start the what-if of a run; durable when this returns. `definition`: the one that is named, where it is known.

    Raises NotFound, and Invalid for what cannot be supposed.
    """
    if supposed.script and supposed.answers != "scripted":
        raise Invalid("what_if.script", "a script answers only with answers: scripted")
    script_of(dict(supposed.script))
    workflows = appliance.workflows
    if definition is None and supposed.definition:
        definition = await workflows.find(supposed.definition)
    if definition is None:
        definition = await workflows.ready(await _definition_at(appliance, run, supposed.at))
    if supposed.models:
        definition = await workflows.with_models(definition, supposed.models)
    changes = [change_of(text, value) for text, value in supposed.set.items()]
    values: dict[str, Json] = {}
    if changes:
        values["changes"] = msgspec.to_builtins(changes)
    if supposed.script:
        values["script"] = dict(supposed.script)
    what_if = WhatIf(
        run=run, at=supposed.at, answers=supposed.answers, live_tools=supposed.live_tools, values=values or None
    )
    return await appliance.engine.submit_what_if(definition, what_if, actor=actor, role=role)


async def _definition_at(appliance: "Appliance", run: RunId, at: int) -> DefinitionHash:
    """What a run went by at an entry; without one, in the end."""
    found: DefinitionHash | None = None
    for entry in await appliance.engine.entries(run):
        if isinstance(entry.body, RunStarted | RunMigrated) and (not at or entry.seq <= at or found is None):
            found = entry.body.definition
    if found is None:
        raise NotFound("run.not_found", f"run {run!r} has no entries")
    return found


def models_of(pairs: Mapping[str, str]) -> dict[str, str]:
    """Models to replace, as they were typed. Raises Invalid for an empty name."""
    for name, other in pairs.items():
        if not name or not other.strip("/"):
            raise Invalid("what_if.model", "a model is replaced by NAME=PROVIDER/MODEL, such as answer=local/smollm2")
    return dict(pairs)
