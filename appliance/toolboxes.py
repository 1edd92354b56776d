"""The tools that each definition has: those of the appliance, of `tools.yaml`, of its own, and of servers."""

from collections.abc import Sequence
from dataclasses import replace

from appliance.loading.tool_specs import specs_of
from runtime.domain.ids import DefinitionHash
from runtime.domain.tool import ToolSpec
from runtime.domain.workflow import Workflow
from runtime.tools.registry import Toolbox, ToolServices


class Toolboxes:
    """One toolbox for each definition, made when it first needs one."""

    def __init__(self, services: ToolServices, own: Sequence[ToolSpec] = ()) -> None:
        """`own`: what `tools.yaml` declares; a definition's tool of the same name does not take its place."""
        self._services = services
        self._own = tuple(own)
        self._known: dict[DefinitionHash, Toolbox] = {}

    @property
    def own(self) -> Toolbox:
        """Those of no definition."""
        return Toolbox(self._services, self._own)

    def of(self, workflow: Workflow) -> Toolbox:
        """The tools of a definition."""
        if workflow.hash not in self._known:
            declared = specs_of(workflow.document, f"workflow {workflow.name!r}")
            services = replace(self._services, folder=workflow.folder)
            self._known[workflow.hash] = Toolbox(services, (*declared, *self._own))
        return self._known[workflow.hash]
