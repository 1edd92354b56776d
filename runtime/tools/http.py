"""The kind `http`: one call to a service, or calls to the hosts that the tool names, through the door.

A tool with a `url` makes that call: the arguments fill what stands in braces in its path, the rest becomes its query
or its body. One without takes the address with each call, within `allowed_hosts`.
"""

import json
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote, urlencode, urlsplit

from runtime.domain.canonical import Json, parse
from runtime.domain.http import HttpReply, HttpRequest, check_status
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.domain.units import size_bytes
from runtime.errors import Invalid, StepFailure
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of
from runtime.tools.places import filled, in_braces_names
from runtime.tools.registry import ToolServices

"""Answers that another attempt may better (RFC 9110, RFC 6585)."""
CARRYING = frozenset({"POST", "PUT", "PATCH"})
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_REPLY_BYTES = 524_288


class HttpTool:
    """Makes the calls. Implements Tool; the answer is `{status, body}`, the body parsed where it is JSON."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        config = spec.config
        self._url = str(config.get("url", ""))
        self._methods = tuple(cast("list[str]", config.get("methods", []))) or (str(config.get("method", "GET")),)
        self._headers = cast("dict[str, str]", config.get("headers", {}))
        self._max_reply_bytes = size_bytes(config["max_reply"]) if "max_reply" in config else DEFAULT_REPLY_BYTES

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Make the call. A busy answer is a retryable failure, any other above 399 a final one."""
        request = self._fixed(call, ctx) if self._url else self._free(call, ctx)
        reply = await ctx.http.send(request)
        check_status(reply, f"tool {self.spec.id!r}: {request.method}")
        return {"status": reply.status, "body": self._body(reply)}

    def _fixed(self, call: ToolCall, ctx: ToolContext) -> HttpRequest:
        method, arguments = self._methods[0], dict(call.arguments)
        names = in_braces_names(self._url)
        path = filled(self._url, {name: self._filled(name, arguments) for name in names})
        for name in names:
            arguments.pop(name, None)
        if method in CARRYING:
            return self._request(method, path, arguments, call, ctx)
        for name, value in arguments.items():
            if isinstance(value, dict | list):
                raise Invalid("tool.arguments", f"tool {self.spec.id!r}: {name!r} is sent in a query and must be plain")
        query = urlencode({name: _plain(value) for name, value in arguments.items() if value is not None})
        joint = "&" if "?" in path else "?"
        return self._request(method, f"{path}{joint}{query}" if query else path, None, call, ctx)

    def _filled(self, name: str, arguments: Mapping[str, Json]) -> str:
        value = arguments.get(name)
        if value is None or isinstance(value, dict | list) or value == "" or value in (".", ".."):
            raise Invalid("tool.arguments", f"tool {self.spec.id!r} needs {name!r}, which is a part of its address")
        return quote(_plain(value), safe="")

    def _free(self, call: ToolCall, ctx: ToolContext) -> HttpRequest:
        arguments = call.arguments
        only(arguments, ("url", "method", "body"), self.spec.id)
        url, method = text_of(arguments, "url", self.spec.id), str(arguments.get("method") or self._methods[0]).upper()
        if method not in self._methods:
            raise Invalid(
                "tool.arguments",
                f"tool {self.spec.id!r} may send {', '.join(self._methods)}, not {method[:20]}; the rule is 'methods' "
                f"of {self.spec.set_by}",
            )
        if urlsplit(url).fragment:
            raise Invalid(
                "tool.arguments", f"tool {self.spec.id!r}: an address with '#…' is for browsers; leave it out"
            )
        return self._request(method, url, arguments.get("body"), call, ctx)

    def _request(self, method: str, url: str, body: Json, call: ToolCall, ctx: ToolContext) -> HttpRequest:
        headers = {name.lower(): value for name, value in self._headers.items()}
        carries = method in CARRYING
        own = {"content-type": "application/json"} if carries else {}
        if method not in SAFE:
            own["idempotency-key"] = call.idempotency_key
        return HttpRequest(
            method=method,
            url=url,
            headers={"accept": "application/json, */*;q=0.5", **own, **headers},
            body=json.dumps(body, ensure_ascii=False).encode() if carries else b"",
            credentials=tuple({*headers, "idempotency-key"}),
            timeout_s=ctx.profile.timeout_ms / 1_000,
            max_reply_bytes=self._max_reply_bytes,
        )

    def _body(self, reply: HttpReply) -> Json:
        text = reply.body.decode("utf-8", "replace")
        if "json" not in reply.headers.get("content-type", ""):
            return text
        try:
            return parse(text)
        except Invalid:
            raise StepFailure(
                "http.not_json", f"tool {self.spec.id!r}: the service announced JSON and sent something else"
            ) from None


def _plain(value: Json) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
