"""Minimisation: what stands in the journal and in memory in place of people's data. Types alone."""

from typing import Literal

import msgspec

from runtime.domain.ids import RunId, TenantId
from runtime.domain.memory import Collection

Place = Literal["journal", "memory"]


class Holder(msgspec.Struct, frozen=True):
    """Within what a value keeps its pseudonym: one run, or one collection of memory, of one tenant."""

    tenant: TenantId
    place: Place
    name: str

    @property
    def scope(self) -> str:
        """How the tenant's vault calls it: a run by its id, a collection as `memory/NAME`."""
        return self.name if self.place == "journal" else f"{MEMORY_SCOPES}{self.name}"


MEMORY_SCOPES = "memory/"
"""What the scopes of collections begin with; ids of runs do not."""


class Pseudonym(msgspec.Struct, frozen=True):
    """A pseudonym, and the value that it stands for."""

    entity: str
    number: int
    """Counts the values of an entity within their holder, from 1."""
    core: str
    """Entity, number and mark, as they stand in its text: `EMAIL_1_K3F9`."""
    value: str
    is_number: bool = False
    """Whether the value was a number of a JSON payload."""


def of_run(tenant: TenantId, run: RunId) -> Holder:
    """The holder of a run's values."""
    return Holder(tenant, "journal", run)


def of_collection(collection: Collection) -> Holder:
    """The holder of a collection's values."""
    return Holder(collection.tenant, "memory", collection.name)
