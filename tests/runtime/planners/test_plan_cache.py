"""Plans are used again for their tenant and class, and say nothing of another's goal."""

from runtime.domain.canonical import Json
from runtime.domain.ids import TenantId
from runtime.planners.plan_cache import MAX_PLANS, PlanCache, plan_key

PLAN: Json = {"steps": ["search"]}


def test_tenants_have_plans_of_their_own() -> None:
    cache = PlanCache()
    cache.keep(plan_key(TenantId("a"), "refund"), PLAN, has_inputs=False, is_whole=False)
    assert PLAN == cache.find(plan_key(TenantId("a"), "refund"))
    assert cache.find(plan_key(TenantId("b"), "refund")) is None
    assert cache.find(plan_key(TenantId("a"), "other")) is None


def test_a_plan_with_inputs_is_kept_for_its_own_question_alone() -> None:
    """Its inputs were somebody's; a class is shared by many."""
    cache = PlanCache()
    cache.keep("class", PLAN, has_inputs=True, is_whole=False)
    cache.keep("question", PLAN, has_inputs=True, is_whole=True)
    assert (None, PLAN) == (cache.find("class"), cache.find("question"))


def test_the_plan_that_was_asked_for_longest_ago_makes_room() -> None:
    cache = PlanCache()
    for number in range(MAX_PLANS):
        cache.keep(str(number), PLAN, has_inputs=False, is_whole=True)
    cache.find("0")
    cache.keep("one more", PLAN, has_inputs=False, is_whole=True)
    assert (PLAN, None) == (cache.find("0"), cache.find("1"))
