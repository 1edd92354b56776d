"""Which agents of a definition remember what is said, and how."""

from pathlib import Path

from appliance.loader import load
from runtime.domain.canonical import Json
from runtime.domain.ids import AgentId
from runtime.domain.workflow import Workflow
from runtime.memory.short_term import remembers

SHARED = """
name: w
memory: {short_term: {max_items: 3}}
agents:
  talk: {type: llm}
  own: {type: llm, memory: {short_term: {max_items: 9}}}
  mute: {type: llm, memory: {short_term: {enabled: false}}}
  each: {type: map, over: "{{ input.items }}", agent: listed}
  listed: {type: llm}
planner: {type: sequential, agents: [talk, own, mute, each]}
"""


def loaded(tmp_path: Path, text: str) -> Workflow:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    return load(file)


def memory_of(workflow: Workflow, agent: str) -> Json:
    return workflow.agents[AgentId(agent)].memory.get("short_term")


def test_what_a_workflow_says_holds_where_an_agent_says_nothing(tmp_path: Path) -> None:
    """In the runs that a map has of its own too."""
    workflow = loaded(tmp_path, SHARED)
    said = {agent: memory_of(workflow, agent) for agent in ("talk", "own", "mute")}
    assert {"talk": {"max_items": 3}, "own": {"max_items": 9}, "mute": {"enabled": False}} == said
    within = workflow.agents[AgentId("each")].subrun
    assert within is not None
    assert {"max_items": 3} == memory_of(within.workflow, "listed")


def test_a_workflow_remembers_when_one_of_its_agents_does(tmp_path: Path) -> None:
    """Those that its steps run count too; one that is told not to does not."""
    assert remembers(loaded(tmp_path, SHARED))
    quiet = SHARED.replace("{max_items: 3}", "{enabled: false}").replace("{max_items: 9}", "{enabled: false}")
    assert not remembers(loaded(tmp_path, quiet))
    within = quiet.replace("listed: {type: llm}", "listed: {type: llm, memory: {short_term: {}}}")
    assert remembers(loaded(tmp_path, within))
