"""Plans that are used again for goals of one class, of one definition. Pure: the state is the caller's.

A plan that says what its steps are given belongs to one goal, and is kept only where the class is the whole question.
"""

from collections import OrderedDict

from runtime.domain.canonical import Json, digest
from runtime.domain.ids import TenantId

MAX_PLANS = 1_000
"""The plan that was asked for longest ago makes room."""


class PlanCache:
    """The plans of one definition, of each tenant apart."""

    def __init__(self) -> None:
        self._plans: OrderedDict[str, Json] = OrderedDict()

    def find(self, key: str) -> Json:
        """The answer that was kept; None where there is none."""
        if key not in self._plans:
            return None
        self._plans.move_to_end(key)
        return self._plans[key]

    def forget(self, key: str) -> None:
        """Forget a plan that failed."""
        self._plans.pop(key, None)

    def keep(self, key: str, answer: Json, *, has_inputs: bool, is_whole: bool) -> bool:
        """Keep an answer that the guard let through, and say whether it may be. `is_whole`: the class says all that
        the model was asked."""
        if has_inputs and not is_whole:
            return False
        self._plans[key] = answer
        self._plans.move_to_end(key)
        if len(self._plans) > MAX_PLANS:
            self._plans.popitem(last=False)
        return True


def plan_key(tenant: TenantId, goal_class: Json) -> str:
    """What names the plans of a tenant for goals of a class."""
    return digest([tenant, goal_class])
