"""The `http` agent: one call to a REST service, through the door."""

import json
from typing import cast

from runtime.agents.templates import Template
from runtime.domain.canonical import Json, parse
from runtime.domain.http import HttpReply, HttpRequest, check_status
from runtime.domain.workflow import AgentSpec
from runtime.errors import Invalid, StepFailure
from runtime.ports import StepContext, StepResult, Task

"""Answers that another attempt may better (RFC 9110, RFC 6585)."""


class HttpAgent:
    """Sends `config.method` to `config.url`; its output is `{status, body}`, the body parsed when it is JSON.

    `url`, `headers` and `body` are templates; without a body, methods that carry one send the task's input. Headers
    that no template fills are its own, and leave as they stand there.
    """

    def __init__(self, spec: AgentSpec) -> None:
        self._spec = spec
        url = spec.config.get("url") or (spec.model.options.get("endpoint") if spec.model else None)
        if not isinstance(url, str):
            raise Invalid("http.no_url", f"agent {spec.id!r} needs 'url', such as http://host:port/path")
        self._url = Template(url)
        self._method = str(spec.config.get("method", "POST")).upper()
        headers = cast("dict[str, str]", spec.config.get("headers", {}))
        self._headers = Template(cast("Json", headers))
        filled = {name.lower() for name, value in headers.items() if "{" in value}
        self._own_headers = tuple({"content-type", "idempotency-key", *map(str.lower, headers)} - filled)
        self._body = Template(spec.config["body"]) if "body" in spec.config else None

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to release."""

    async def act(self, task: Task, ctx: StepContext) -> StepResult:
        """Make the call. A busy answer is a retryable failure, any other above 399 a final one."""
        reply = await ctx.http.send(self._request(task))
        check_status(reply, f"agent {self._spec.id!r}: {self._method}")
        return StepResult(output={"status": reply.status, "body": _body(reply)})

    def _request(self, task: Task) -> HttpRequest:
        data = {**task.data, "task": task.input}
        headers = cast("dict[str, Json]", self._headers.render(data))
        content = task.input if self._body is None else self._body.render(data)
        carries_body = self._method in {"POST", "PUT", "PATCH"}
        return HttpRequest(
            method=self._method,
            url=str(self._url.render(data)),
            headers={
                "content-type": "application/json",
                "idempotency-key": task.idempotency_key,
                **{name.lower(): str(value) for name, value in headers.items()},
            },
            body=json.dumps(content, ensure_ascii=False).encode() if carries_body else b"",
            credentials=self._own_headers,
            timeout_s=self._spec.timeout_ms / 1_000,
        )


def _body(reply: HttpReply) -> Json:
    text = reply.body.decode("utf-8", "replace")
    if "json" not in reply.headers.get("content-type", ""):
        return text
    try:
        return parse(text)
    except Invalid:
        raise StepFailure("http.not_json", "the service announced JSON and sent something else") from None
