"""What a run answers: its workflow's own `output:`, the state that the workflow names, or whoever answered last."""

from runtime.domain.canonical import Json
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow, machines_of
from runtime.planners.scope import outputs, scope


def answer_of(workflow: Workflow, state: RunState) -> Json:
    """The answer of a run, so far. Raises StepFailure when the workflow's `output:` cannot be rendered."""
    if state.status == "succeeded" and workflow.output is not None:
        # the template engine is loaded for the few workflows that shape their output
        from runtime.agents.templates import Template

        template = Template(workflow.output)
        return template.render(scope(state, template.names))
    answered = outputs(state) if workflow.answered_by else {}
    answer = answered.get(workflow.answered_by, state.output)
    return _with_decision(workflow, state, answer) if state.status == "succeeded" else answer


def _with_decision(workflow: Workflow, state: RunState, answer: Json) -> Json:
    """The answer with the final state beside it, where the machine says so and it does not say one itself."""
    last = state.path[-1] if state.path else ""
    if not any(machine.answers_decision and last in machine.final_states for machine in machines_of(workflow)):
        return answer
    if isinstance(answer, dict):
        return {"decision": last, **answer}
    return {"decision": last} if answer is None else {"decision": last, "answer": answer}
