"""What a tool may reach, for tests of one tool by itself: a profile that grants what its specification asks for."""

from runtime.domain.egress import APPLIANCE, Sender
from runtime.domain.exec_profile import INSIDE, Program
from runtime.domain.tool import ToolSpec
from runtime.engine.clock import ManualClock
from runtime.policies.exec_profile import Places, RoleRule, TenantRule, ToolPolicy, compile_profile
from runtime.tools.context import CallContext, Means

OPEN = ToolPolicy(network="allow_all", filesystem="read_only")


def context(
    spec: ToolSpec,
    *,
    means: Means | None = None,
    sender: Sender = APPLIANCE,
    program: Program = INSIDE,
    policy: ToolPolicy = OPEN,
    places: Places = Places(),  # noqa: B008  # frozen
) -> CallContext:
    """The context of one call, under a policy that is open unless another is given."""
    profile, _ = compile_profile(
        spec,
        program,
        tenant=TenantRule(id=sender.tenant),
        role=RoleRule(id=sender.role),
        policies=(policy,),
        is_air_gapped=False,
        places=places,
    )
    return CallContext(means or Means(clock=ManualClock()), profile, sender)
