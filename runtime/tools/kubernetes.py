"""The kind `kubernetes`: what the tool names of a cluster's API, through the door; takes `features: [kubernetes]`.

A call names a verb and a kind of object that the tool allows together, such as `patch deployments`, in the namespaces
that it names. The server's answer comes back as it is, without the managed fields.
"""

import json
import re
from collections.abc import Mapping
from typing import ClassVar, cast
from urllib.parse import quote

from runtime.domain.canonical import Json
from runtime.domain.http import HttpRequest, check_status
from runtime.domain.tool import ToolCall, ToolSpec
from runtime.errors import Invalid, Refused, Unavailable
from runtime.ports import ToolContext
from runtime.tools.arguments import only, text_of
from runtime.tools.registry import ToolServices, check_feature

GROUPS: Mapping[str, str] = {
    **dict.fromkeys(("pods", "services", "configmaps", "events", "namespaces", "nodes"), "api/v1"),
    **dict.fromkeys(("deployments", "statefulsets", "daemonsets", "replicasets"), "apis/apps/v1"),
    **dict.fromkeys(("jobs", "cronjobs"), "apis/batch/v1"),
    "ingresses": "apis/networking.k8s.io/v1",
}
"""Kinds of objects by their plural; secrets and roles are not among them."""
VERBS: Mapping[str, str] = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH", "delete": "DELETE"}
DEFAULT_ALLOWED = ("get deployments", "list deployments", "get pods", "list pods")

_UNSPACED = frozenset({"namespaces", "nodes"})
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_MAX_REPLY_BYTES = 524_288


class KubernetesTool:
    """Asks and changes what it names. Implements Tool."""

    dry_answer: ClassVar[Json] = {"kind": "Status", "status": "not asked"}
    """What a what-if is told, which asks nothing."""

    def __init__(self, spec: ToolSpec, services: ToolServices) -> None:
        self.spec = spec
        self._services = services
        config = spec.config
        self._server = str(config.get("server", "")).rstrip("/")
        self._token = str(config.get("token", ""))
        self._namespaces = tuple(cast("list[str]", config.get("namespaces", []))) or ("default",)
        self._allowed = tuple(cast("list[str]", config.get("allowed", []))) or DEFAULT_ALLOWED

    async def call(self, call: ToolCall, ctx: ToolContext) -> Json:
        """Ask once. Raises Refused for a verb, a kind or a namespace that the tool does not name."""
        tool = self.spec.id
        check_feature(self._services, "kubernetes", tool)
        if not self._server or not self._token:
            message = f"tool {tool!r} names no cluster; give it 'server' and 'token' in {self.spec.set_by}"
            raise Unavailable("tool.no_cluster", message, retryable=False)
        only(call.arguments, ("verb", "resource", "name", "namespace", "body"), tool)
        verb, resource = text_of(call.arguments, "verb", tool), text_of(call.arguments, "resource", tool)
        self._check(
            verb, resource, namespace := text_of(call.arguments, "namespace", tool, default=self._namespaces[0])
        )
        name = text_of(call.arguments, "name", tool, default="")
        body = call.arguments.get("body")
        if bool(name) != (verb in ("get", "patch", "delete")) or isinstance(body, dict) != (
            verb in ("create", "patch")
        ):
            raise Invalid(
                "tool.arguments",
                f"tool {tool!r}: get, patch and delete take the 'name' of an object; create and patch take its 'body'",
            )
        if name and not _NAME.fullmatch(name):
            raise Invalid("tool.arguments", f"tool {tool!r}: 'name' is none that an object of Kubernetes can have")
        reply = await ctx.http.send(self._request(verb, resource, namespace, name, body, ctx))
        check_status(reply, f"tool {tool!r}: {verb} {resource}")
        return _without_managed_fields(json.loads(reply.body))

    def _check(self, verb: str, resource: str, namespace: str) -> None:
        tool = self.spec.id
        if verb not in VERBS or resource not in GROUPS:
            raise Invalid(
                "tool.arguments",
                f"tool {tool!r} takes {', '.join(VERBS)} as 'verb' and {', '.join(GROUPS)} as 'resource'",
            )
        if f"{verb} {resource}" not in self._allowed:
            raise Refused(
                "kubernetes.not_allowed",
                f"tool {tool!r} may {', '.join(self._allowed)}, not {verb} {resource}; the rule is 'allowed' of "
                f"{self.spec.set_by}",
            )
        if namespace not in self._namespaces:
            raise Refused(
                "kubernetes.not_allowed",
                f"tool {tool!r} may reach the namespaces {', '.join(self._namespaces)}; the rule is 'namespaces' of "
                f"{self.spec.set_by}",
            )

    def _request(
        self, verb: str, resource: str, namespace: str, name: str, body: Json, ctx: ToolContext
    ) -> HttpRequest:
        space = "" if resource in _UNSPACED else f"/namespaces/{quote(namespace, safe='')}"
        item = f"/{quote(name, safe='')}" if name else ""
        kind = "application/strategic-merge-patch+json" if verb == "patch" else "application/json"
        return HttpRequest(
            method=VERBS[verb],
            url=f"{self._server}/{GROUPS[resource]}{space}/{resource}{item}",
            headers={"accept": "application/json", "content-type": kind, "authorization": f"Bearer {self._token}"},
            body=json.dumps(body, ensure_ascii=False).encode() if isinstance(body, dict) else b"",
            credentials=("authorization",),
            timeout_s=ctx.profile.timeout_ms / 1_000,
            max_reply_bytes=_MAX_REPLY_BYTES,
        )


def _without_managed_fields(found: Json) -> Json:
    if isinstance(found, dict):
        return {key: _without_managed_fields(each) for key, each in found.items() if key != "managedFields"}
    if isinstance(found, list):
        return [_without_managed_fields(each) for each in found]
    return found
