"""What a run answers: its workflow's own `output:`, the state that the workflow names, or whoever answered last."""

from runtime.domain.canonical import Json
from runtime.domain.run import RunState
from runtime.domain.workflow import Workflow
from runtime.planners.scope import outputs, scope


def answer_of(workflow: Workflow, state: RunState) -> Json:
    """The answer of a run, so far. Raises StepFailure when the workflow's `output:` cannot be rendered."""
    if state.status == "succeeded" and workflow.output is not None:
        # the template engine is loaded for the few workflows that shape their output
        from runtime.agents.templates import Template

        template = Template(workflow.output)
        return template.render(scope(state, template.names))
    answered = outputs(state) if workflow.answered_by else {}
    return answered.get(workflow.answered_by, state.output)
