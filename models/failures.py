"""What becomes of a question when one after another fails to answer it. Pure."""

from models.health import is_fault
from models.routing import Route
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, StepFailure, Unavailable

_ELSEWHERE = frozenset({"model.no_images", "model.prompt_too_long", "model.queue_full", "model.server_refused"})
"""What one cannot take and another may."""


def may_go_on(error: AgentFlowError) -> bool:
    """Whether the next one may do better: not where the question itself is wrong, or the answer was given."""
    return is_fault(error) or isinstance(error, (Refused, NotFound)) or error.code in _ELSEWHERE


class Failures:
    """Who failed, and how."""

    def __init__(self) -> None:
        self.all: list[tuple[Route, AgentFlowError]] = []

    def add(self, route: Route, error: AgentFlowError) -> None:
        """Take one down."""
        self.all.append((route, error))

    def whole(self) -> AgentFlowError:
        """The one error that says it: of a single one its own, and the last where that one answered."""
        last = self.all[-1][1]
        if len(self.all) == 1 or not may_go_on(last):
            return last
        errors = [error for _, error in self.all]
        said = "; ".join(f"{route.label}: {error.code}" for route, error in self.all)
        message = f"none of the models that the settings name for this one answered: {said}"
        is_retryable = any(error.retryable for error in errors)
        if all(isinstance(error, Refused) for error in errors):
            return _refused_by_all(self.all, said, is_retryable=is_retryable)
        if all(isinstance(error, (Invalid, StepFailure)) for error in errors):
            return StepFailure("model.none_answered", message, retryable=is_retryable)
        return Unavailable("model.none_answered", message, retryable=is_retryable)


def _refused_by_all(failures: list[tuple[Route, AgentFlowError]], said: str, *, is_retryable: bool) -> Refused:
    """Policy let nobody answer. What each would have needed stands in its own message; the last one's is told."""
    route, last = failures[-1]
    facts = {**last.facts, "route": route.label}
    message = f"policy refuses each model that the settings name for this one ({said}). The last: {last.message}"
    return Refused("model.all_refused", message, retryable=is_retryable, **facts)
