"""The kind `slack`: a message to a channel of Slack, through the door; takes `features: [slack]` in the settings."""

import json
from typing import ClassVar, cast

from runtime.domain.canonical import Json
from runtime.domain.http import BUSY, HttpRequest
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, Refused, StepFailure
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of
from runtime.tools.registry import ToolServices, check_feature

API = "https://slack.com/api/chat.postMessage"
MAX_CHARACTERS = 12_000


class SlackTool:
    """Posts messages. Implements Tool; the answer is `{channel, sent}`."""

    dry_answer: ClassVar[Json] = {"channel": "", "sent": False}
    """What a what-if is told, which posts nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._services = services
        self._url = str(spec.config.get("url", API))
        self._token = str(spec.config["token"])
        self._channels = tuple(cast("list[str]", spec.config["channels"]))

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Post one. Raises Refused for a channel that the tool does not name."""
        tool = self.spec.id
        check_feature(self._services, "slack", tool)
        only(call.arguments, ("text", "channel"), tool)
        text = text_of(call.arguments, "text", tool)
        channel = text_of(call.arguments, "channel", tool, default=self._channels[0])
        if channel not in self._channels:
            raise Refused(
                "slack.channel_refused",
                f"tool {tool!r} may post to {', '.join(self._channels)}; the rule is 'channels' of {self.spec.set_by}",
            )
        if len(text) > MAX_CHARACTERS:
            raise Invalid("tool.arguments", f"tool {tool!r} takes a text of at most {MAX_CHARACTERS:,} characters")
        reply = await ctx.http.send(
            HttpRequest(
                method="POST",
                url=self._url,
                headers={
                    "content-type": "application/json; charset=utf-8",
                    "authorization": f"Bearer {self._token}",
                },
                body=json.dumps({"channel": channel, "text": text}, ensure_ascii=False).encode(),
                credentials=("authorization",),
                timeout_s=ctx.profile.timeout_ms / 1_000,
            )
        )
        try:
            said = json.loads(reply.body)
        except ValueError:
            said = None
        if reply.status >= 400 or not isinstance(said, dict) or said.get("ok") is not True:
            raise StepFailure(
                "slack.failed",
                f"tool {tool!r}: Slack did not take the message (status {reply.status})",
                retryable=reply.status in BUSY,
            )
        return {"channel": channel, "sent": True}
