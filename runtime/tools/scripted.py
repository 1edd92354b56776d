"""The kind `scripted`: plays given answers in a tool's place, for scenarios. It does nothing else, and nowhere else."""

import json
import re
from collections import defaultdict
from typing import ClassVar

from runtime.domain.canonical import Json
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, Refused, StepFailure
from runtime.ports import ToolContext
from runtime.tools.registry import ToolServices

FEATURE = "scripted_tools"
"""Only where scenarios are run."""


class ScriptedTool:
    """Implements Tool. A list is played once for each run, call by call, the last one for ever."""

    dry_answer: ClassVar[Json] = {}

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        """Raises Refused where no scenario is run."""
        if FEATURE not in services.features:
            raise Refused("tool.feature", f"tool {spec.id!r} plays answers, which only the scenarios of af test may do")
        self.spec = spec
        self._calls: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        """Run and pattern → the keys of its calls, in order; empty for one that failed, which is made again."""

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """The answer that is played. Raises StepFailure where it is an error, and for arguments that have none."""
        pattern, played = self._match(call)
        if isinstance(played, list):
            played = self._in_turn(call, played, self._calls[ctx.sender.run, pattern])
        if isinstance(played, dict) and played.keys() == {"error"}:
            raise _error(self.spec.id, played["error"])
        return played

    def _in_turn(self, call: ToolCall, answers: list[Json], calls: list[str]) -> Json:
        """A call that has been answered has the same answer again."""
        key = call.idempotency_key
        if key in calls:
            number = calls.index(key)
        else:
            number = len(calls)
            calls.append(key)
        answer = answers[min(number, len(answers) - 1)] if answers else None
        if isinstance(answer, dict) and answer.keys() == {"error"}:
            calls[number] = ""
        return answer

    def _match(self, call: ToolCall) -> tuple[str, Json]:
        answers = self.spec.config.get("answers")
        if not isinstance(answers, dict):
            return "", answers
        given = json.dumps(call.arguments, ensure_ascii=False, sort_keys=True)
        for pattern, answer in answers.items():
            try:
                if re.search(pattern, given):
                    return pattern, answer
            except re.error as error:
                message = f"{pattern!r} under 'answers' of tool {self.spec.id!r} is not a regular expression: {error}"
                raise Invalid("tool.bad_script", message) from None
        raise StepFailure(
            "tool.script_has_no_answer",
            f"nothing is played for these arguments of tool {self.spec.id!r}; add '.*' for everything else",
            retryable=False,
        )


def _error(tool: str, wanted: Json) -> StepFailure:
    """`{code, message, retryable}`, all optional; or the message alone."""
    fields = wanted if isinstance(wanted, dict) else {"message": wanted}
    retryable = fields.get("retryable")
    return StepFailure(
        str(fields.get("code", "tool.scripted_error")),
        str(fields.get("message", f"the scenario has tool {tool!r} fail")),
        retryable=retryable if isinstance(retryable, bool) else None,
    )
