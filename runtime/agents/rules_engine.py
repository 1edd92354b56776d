"""The `rules_engine` agent: a decision table over what the run has found, and the tools that its rules call.

It asks nobody: equal data gives equal decisions, and the output names the rules that gave them.
"""

import asyncio
from collections.abc import Mapping
from itertools import pairwise

import msgspec

from runtime.agents.templates import Template
from runtime.domain.canonical import Json, digest
from runtime.domain.rules import OTHERWISE, Aggregate, HitPolicy, Rule
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, StepFailure
from runtime.planners.rules import Table, aggregated
from runtime.planners.scope import LAST_OUTPUT
from runtime.ports import StepContext, StepResult, Task

MANY = 50
"""Rules beyond which a table is gone through off the event loop: a thousand take 30 ms, more on a busy machine."""


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's own keys."""

    rules: tuple[Rule, ...] = ()
    hit_policy: HitPolicy = "first"
    aggregate: Aggregate | None = None
    otherwise: Rule | None = None


class RulesAgent:
    """Its output is `{decision, rule, fired, calls}`: the decision, the rule that it is of, all that held, and what
    the tools answered that they called."""

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        own = {name: spec.config[name] for name in _Options.__struct_fields__ if name in spec.config}
        last = own.get(OTHERWISE)
        if isinstance(last, dict):
            own[OTHERWISE] = {**last, "name": OTHERWISE}
        try:
            self._options = options = msgspec.convert(own, _Options)
        except msgspec.ValidationError as error:
            raise Invalid("rules.options", f"agent {spec.id!r}: {error}") from None
        if not options.rules:
            raise Invalid("rules.missing", f"agent {spec.id!r} of type rules_engine needs 'rules'")
        self._digest = digest(msgspec.to_builtins(own))
        self._table: Table | None = None
        every = (*options.rules, *([options.otherwise] if options.otherwise else ()))
        self._then = {rule.name: Template(rule.then) for rule in every}
        self._arguments = {(rule.name, n): Template(c.arguments) for rule in every for n, c in enumerate(rule.call)}
        self._has_input = isinstance(spec.input, dict)

    async def start(self) -> None:
        """Compile the conditions: a millisecond for each."""
        self._table = await asyncio.to_thread(Table, self._options.rules, self._options.hit_policy)

    async def stop(self) -> None:
        """Let go of what was compiled."""
        self._table = None

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Decide, then call what the rules say, in order. Raises StepFailure where the table has no answer, and what
        the tools raise."""
        if self._table is None:
            await self.start()
        table, data = self._table, self._data(task)
        assert table is not None, "start() has compiled it"
        is_large = len(self._options.rules) > MANY
        fired = await asyncio.to_thread(table.fired, data) if is_large else table.fired(data)
        counting = table.counting(fired) or ([self._options.otherwise] if self._options.otherwise else [])
        decision = self._decision(fired, counting, data)
        calls: list[Json] = []
        for rule in counting:
            for number, call in enumerate(rule.call):
                arguments = self._arguments[rule.name, number].render(data)
                assert isinstance(arguments, dict), "a mapping of templates gives one"
                calls.append(
                    {"rule": rule.name, "tool": call.tool, "output": await ctx.call_tool(call.tool, arguments)}
                )
        named: list[Json] = [rule.name for rule in fired]
        is_one = self._options.hit_policy != "collect" or not fired
        output: Json = {
            "decision": decision,
            "rule": counting[0].name if counting and is_one else None,
            "fired": named,
            "calls": calls,
        }
        because: Json = {rule.name: rule.when for rule in fired}
        evidence: dict[str, Json] = {
            "hit_policy": self._options.hit_policy,
            "table": self._digest,
            "because": because,
        }
        return StepResult(output=output, evidence=evidence)

    def _decision(self, fired: list[Rule], counting: list[Rule], data: Mapping[str, Json]) -> Json:
        """What the rules that count come to."""
        options = self._options
        decisions = [self._then[rule.name].render(data) for rule in counting]
        if options.hit_policy == "collect" and (fired or not counting):
            if options.aggregate is None:
                return decisions
            if decisions or options.aggregate in ("count", "sum"):
                return aggregated(decisions, options.aggregate)
        if not counting:
            raise StepFailure(
                "rules.no_match",
                f"agent {self._spec.id!r}: none of its {len(options.rules)} rules holds; add {OTHERWISE!r}",
            )
        if options.hit_policy == "any":
            self._check_equal(fired, data)
        return decisions[0]

    def _check_equal(self, fired: list[Rule], data: Mapping[str, Json]) -> None:
        """Under `any`, rules that hold together agree."""
        decided = {rule.name: digest(self._then[rule.name].render(data)) for rule in fired}
        for one, other in pairwise(decided):
            if decided[one] != decided[other]:
                raise StepFailure(
                    "rules.not_equal",
                    f"the hit policy is 'any', and the rules {one!r} and {other!r} hold and decide differently",
                )

    def _data(self, task: Task) -> dict[str, Json]:
        """What conditions and templates read: by their bare names the keys of the agent's own `input`, the states'
        outputs, and where it has no `input` of its own the keys of the last output and of the run's input."""
        steps, response = task.data.get("steps"), task.data.get("response")
        own = _mapping(task.input) if self._has_input else {}
        bare = {} if self._has_input else {**_mapping(task.input), **_mapping(response)}
        run = {name: task.data.get(name) for name in ("input", "steps", "error")}
        return {
            **bare,
            **_mapping(steps),
            **own,
            **dict.fromkeys(LAST_OUTPUT, response),
            **run,
            "task": task.input,
        }


def _mapping(found: Json) -> dict[str, Json]:
    return found if isinstance(found, dict) else {}
