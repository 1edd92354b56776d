"""The budgets that definitions set for their own runs, as far as runs of them are known here."""

from appliance import loader
from runtime.costs.budget import budgets_of, budgets_of_memory, budgets_of_workflow
from runtime.domain.cost import Budget
from runtime.domain.ids import DefinitionHash
from runtime.domain.workflow import Workflow
from runtime.errors import AgentFlowError
from runtime.ports import StateStore

MOST_DEFINITIONS = 200
"""Workflows that are looked at, those that were kept last."""


async def budgets_defined(store: StateStore) -> list[Budget]:
    """Those of the newest definition of each name; of one that this version cannot read none."""
    newest: dict[str, tuple[int, DefinitionHash]] = {}
    for name, definition, at_us in await store.definitions():
        newest[name] = max(newest.get(name, (0, definition)), (at_us, definition))
    budgets: list[Budget] = []
    for name in sorted(newest, key=lambda each: newest[each], reverse=True)[:MOST_DEFINITIONS]:
        try:
            _, document = await store.definition(newest[name][1])
            budgets += budgets_of_definition(loader.from_document(document, ""))
        except AgentFlowError:
            continue
    return budgets


def budgets_of_definition(workflow: Workflow) -> list[Budget]:
    """All that one sets: for its runs, for its agents, and for their memory."""
    found = list(budgets_of_workflow(workflow))
    for name, spec in workflow.agents.items():
        found += budgets_of(spec.policies, workflow=workflow.name, agent=name)
        found += budgets_of_memory(spec.memory, workflow=workflow.name, agent=name)
    return found
