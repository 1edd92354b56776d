"""The tools that each definition has: those of the appliance, of `tools.yaml`, of its own, and of servers."""

from collections.abc import Callable
from dataclasses import replace

from appliance.loading.tool_specs import specs_of
from runtime.domain.ids import DefinitionHash
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import Workflow
from runtime.tools.registry import Toolbox, ToolServices


class Toolboxes:
    """One toolbox for each definition, made when it first needs one, and anew when the operator's tools change."""

    def __init__(
        self,
        services: ToolServices,
        own: Callable[[], tuple[ToolSpec, ...]] = tuple,
        *,
        complete: Callable[[ToolSpec], ToolSpec] = lambda spec: spec,
    ) -> None:
        """`own`: what `tools.yaml` declares; a definition's tool of the same name does not take its place.

        `complete`: adds what the settings say.
        """
        self._services = services
        self._own = own
        self._complete = complete
        self._read: tuple[ToolSpec, ...] = own()
        self._of_none = Toolbox(services, tuple(map(complete, self._read)))
        self._known: dict[DefinitionHash, Toolbox] = {}
        self._retired: list[Toolbox] = []
        """Of what `tools.yaml` said before; their calls may still be under way."""

    async def stop(self) -> None:
        """Stop every tool. Safe to call twice."""
        for toolbox in (*self._retired, self._of_none, *self._known.values()):
            await toolbox.stop()

    @property
    def own(self) -> Toolbox:
        """Those of no definition."""
        self._look()
        return self._of_none

    def of(self, workflow: Workflow) -> Toolbox:
        """The tools of a definition."""
        self._look()
        if workflow.hash not in self._known:
            declared = (*specs_of(workflow.document, f"workflow {workflow.name!r}"), *self._read)
            services = replace(self._services, folder=workflow.folder)
            self._known[workflow.hash] = Toolbox(services, tuple(map(self._complete, declared)))
        return self._known[workflow.hash]

    def _look(self) -> None:
        found = self._own()
        if found is not self._read:
            self._retired += [self._of_none, *self._known.values()]
            self._read, self._known = found, {}
            self._of_none = Toolbox(self._services, tuple(map(self._complete, found)))
