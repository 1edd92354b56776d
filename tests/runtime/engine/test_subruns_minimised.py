"""People's data stays out of the journals of a run and of its parts, and their agents still work with it."""

import msgspec
import pytest

from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import SubrunSpec, Workflow
from runtime.ports import Task
from tests.runtime.engine.test_minimise import MAIL, Minimised, journal_bytes, minimised
from tests.runtime.engine.test_subruns import PART, outer, subruns

__all__ = ["minimised"]


def asking(workflow: Workflow, *, inner_asks: bool) -> Workflow:
    """The same, where the outer workflow or the inner one asks to be minimised."""
    asks: dict[str, Json] = {"minimise": True}
    if not inner_asks:
        return msgspec.structs.replace(workflow, policies=asks)
    agent = workflow.agents[AgentId("part")]
    assert agent.subrun is not None
    inner = msgspec.structs.replace(agent.subrun.workflow, policies=asks)
    changed = msgspec.structs.replace(agent, subrun=SubrunSpec(workflow=inner, over=agent.subrun.over))
    return msgspec.structs.replace(workflow, agents={**workflow.agents, AgentId("part"): changed})


@pytest.mark.parametrize("over", [None, "{{ input.people }}"])
@pytest.mark.parametrize("inner_asks", [False, True])
async def test_a_part_is_minimised_with_the_whole(minimised: Minimised, inner_asks: bool, over: Json) -> None:
    """Whichever of the two asks for it."""
    stage = minimised.stage
    minimised.is_always = False
    seen: list[Json] = []

    async def work(task: Task) -> Json:
        seen.append(task.input)
        return {"wrote_to": MAIL}

    async def after(task: Task) -> Json:
        assert isinstance(task.data["steps"], dict)
        seen.append(task.data["steps"]["part"])
        return None

    stage.behaviours |= {"work": work, "after": after}
    engine = await stage.engine()
    workflow = asking(outer(stage, over=over), inner_asks=inner_asks)
    stage.workflows |= {workflow.hash: workflow}
    for agent in workflow.agents.values():
        if agent.subrun is not None:
            stage.workflows[agent.subrun.workflow.hash] = agent.subrun.workflow
    asked: Json = {"people": [MAIL]}
    run = await engine.submit(workflow, asked)
    state = await engine.wait(run)
    assert "succeeded" == state.status
    given: Json = MAIL if over else asked
    answered: Json = {"wrote_to": MAIL}
    if over:
        answered = {"results": [answered], "errors": [], "succeeded": 1, "failed": 0}
    assert [given, answered] == seen
    for each in (state, *await subruns(engine, run)):
        assert each.is_minimised
        assert MAIL.encode() not in await journal_bytes(engine, each.run)
    restored = next(entry.body for entry in await engine.restored(run) if getattr(entry.body, "output", None))
    assert (PART, answered) == (restored.step, restored.output)  # type: ignore[union-attr]  # an answer
