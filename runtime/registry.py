"""Kinds by dotted id, and where each lives: names can be listed without importing anything."""

from importlib import import_module

from runtime.errors import NotFound

KINDS = {
    "agent.llm": "runtime.agents.llm:LlmAgent",
    "agent.rag": "runtime.agents.rag:RagAgent",
    "agent.ml_model": "runtime.agents.ml_model:MlModelAgent",
    "agent.http": "runtime.agents.http:HttpAgent",
    "agent.custom": "runtime.agents.custom:CustomAgent",
    "agent.wasm": "runtime.agents.wasm:WasmAgent",
    "agent.fsm": "runtime.agents.fsm:FsmAgent",
    "agent.database": "runtime.agents.database:DatabaseAgent",
    "agent.rules_engine": "runtime.agents.rules_engine:RulesAgent",
    "agent.vision_model": "runtime.agents.vision_model:VisionAgent",
    "agent.web_search": "runtime.agents.web_search:WebSearchAgent",
    "agent.human_task": "runtime.agents.human_task:HumanTaskAgent",
    "tool.code": "runtime.tools.code:CodeTool",
    "tool.function": "runtime.tools.function:FunctionTool",
    "tool.mcp": "runtime.tools.mcp.tool:McpTool",
    "tool.database": "runtime.tools.database:DatabaseTool",
    "tool.file": "runtime.tools.files:FileTool",
    "tool.http": "runtime.tools.http:HttpTool",
    "tool.kubernetes": "runtime.tools.kubernetes:KubernetesTool",
    "tool.notify": "runtime.tools.notify:NotifyTool",
    "tool.scripted": "runtime.tools.scripted:ScriptedTool",
    "tool.search_docs": "runtime.tools.search_docs:SearchTool",
    "tool.slack": "runtime.tools.slack:SlackTool",
    "tool.smtp": "runtime.tools.smtp:SmtpTool",
    "tool.ticket": "runtime.tools.tickets:TicketTool",
}
SUBRUN_AGENTS = ("map", "workflow")
"""Agent types whose work is runs of their own; the engine itself carries them out."""


def kinds(family: str) -> tuple[str, ...]:
    """The names of a family, such as `agent`: `llm`, `rag`, …"""
    return tuple(sorted(kind.removeprefix(f"{family}.") for kind in KINDS if kind.startswith(f"{family}.")))


def load(kind: str) -> object:
    """Import what a dotted id names. Raises NotFound with the ids that there are."""
    place = KINDS.get(kind)
    if place is None:
        family = kind.partition(".")[0]
        raise NotFound("kind.unknown", f"there is no {kind!r}; known: {', '.join(kinds(family))}")
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
