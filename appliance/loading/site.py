"""What the settings of a site let its definitions name, beyond what comes with the program."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from appliance.config.settings import Settings


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One site, as checks of definitions know it."""

    models: frozenset[str] = frozenset()
    """`provider/model` names that another model answers for, and names of routes."""
    servers: frozenset[str] = frozenset()
    """Providers that are answered, whatever their models are called: model servers, and aliases of whole providers."""
    memories: frozenset[str] = frozenset()
    """Memory backends that the local memory answers for."""
    tools: frozenset[str] = frozenset()
    """What the operator declares in `tools.yaml`."""
    classes: frozenset[str] | None = None
    """Classes of data beside the four that there always are; None: nobody knows them."""

    def answers(self, provider: str, model: str) -> bool:
        """Whether a model that is not built in has an answer here."""
        return provider in self.servers or f"{provider}/{model}" in self.models


ANY_SITE = Site()
"""Nothing is known of it."""


def site_of(settings: "Settings", *, tools: Iterable[str] = ()) -> Site:
    """The site of these settings. `tools`: those that its operator declares."""
    models = settings.models
    whole = [name.removesuffix("/*") for name in models.aliases if name.endswith("/*")]
    return Site(
        models=frozenset({*models.aliases, *models.routes}),
        servers=frozenset({*whole, *(server.name for server in models.backends)}),
        memories=frozenset(settings.memory.backends),
        tools=frozenset(tools),
        classes=frozenset(settings.data_classes),
    )
