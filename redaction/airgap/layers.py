"""What stands between this process and the outside, as data that can be shown, kept and compared."""

from typing import Literal

import msgspec

LayerName = Literal["network", "unix_sockets", "landlock", "seccomp", "ingress", "audit_hook"]
LayerState = Literal["holds", "partial", "missing"]
Status = Literal["sealed", "degraded", "off"]

TITLES: dict[LayerName, str] = {
    "network": "own network",
    "unix_sockets": "UNIX sockets",
    "landlock": "Landlock",
    "seccomp": "seccomp",
    "ingress": "ingress",
    "audit_hook": "audit hook",
}


class Layer(msgspec.Struct, frozen=True):
    """One wall."""

    name: LayerName
    state: LayerState
    detail: str
    """What was found, for a person."""


class AirGap(msgspec.Struct, frozen=True):
    """All walls around one process."""

    layers: tuple[Layer, ...]

    @property
    def status(self) -> Status:
        """`sealed` when every wall holds; `degraded` when one does not; `off` without walls."""
        if not self.layers:
            return "off"
        return "sealed" if all(layer.state == "holds" for layer in self.layers) else "degraded"

    @property
    def gaps(self) -> tuple[Layer, ...]:
        """The walls that do not hold, or not wholly."""
        return tuple(layer for layer in self.layers if layer.state != "holds")

    def has(self, name: LayerName) -> bool:
        """Whether that wall holds."""
        return any(layer.name == name and layer.state == "holds" for layer in self.layers)

    def with_layer(self, layer: Layer) -> "AirGap":
        """The same with one wall more."""
        return AirGap((*self.layers, layer))
