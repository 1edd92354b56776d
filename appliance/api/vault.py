"""The caller's vault over HTTP: how much it holds, and deleting from it. Never a value on its way out."""

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.minimising import DAY_US, VaultView
from runtime.domain.ids import RunId
from runtime.errors import Invalid


class PurgeVault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which values to delete: give one of the three."""

    run: Annotated[str, Meta(max_length=64, description="Those of this run.")] = ""
    collection: Annotated[str, Meta(max_length=200, description="Those of this collection of memory.")] = ""
    older_than_days: Annotated[
        Annotated[float, Meta(ge=0, le=36_500)] | None,
        Meta(description="Those of runs that have ended, kept longer ago than this; null: not by age."),
    ] = None


class EraseValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to delete."""

    value: Annotated[str, Meta(min_length=1, max_length=10_000, description="The value, in any case.")]


class Deleted(msgspec.Struct, frozen=True):
    """What was deleted."""

    values: int


@get(
    "/v1/vault",
    name="show_vault",
    **describes("Count what the vault holds", tag="vault", answers={200: VaultView}),
)
async def show_vault(request: ApiRequest, service: NamedDependency[Service]) -> VaultView:
    """Of the caller's own tenant, by run and collection; no values."""
    return await service.appliance.minimising.held(request.user.tenant)


@post(
    "/v1/vault/purge",
    name="purge_vault",
    status_code=200,
    **describes(
        "Delete values of a run, of a collection, or by age",
        tag="vault",
        answers={200: Deleted},
        errors=(415, 422, 507),
        body=PurgeVault,
        example={"older_than_days": 3_650},
    ),
)
async def purge_vault(request: ApiRequest, service: NamedDependency[Service]) -> Deleted:
    """Pseudonyms stay where they stand, and name nothing any more."""
    asked = await read_json(request, PurgeVault)
    given = [name for name in ("run", "collection") if getattr(asked, name)]
    if len(given) + (asked.older_than_days is not None) != 1:
        raise Invalid("vault.purge_what", "give one of run, collection and older_than_days, to say what to purge")
    before_us = 0
    if asked.older_than_days is not None:
        before_us = service.appliance.clock.now_us() - round(asked.older_than_days * DAY_US)
    return Deleted(
        await service.appliance.minimising.purge(
            service.store,
            request.user.tenant,
            run=RunId(asked.run) if asked.run else None,
            collection=asked.collection,
            before_us=before_us,
            actor=request.user.actor,
        )
    )


@post(
    "/v1/vault/erase",
    name="erase_value",
    status_code=200,
    **describes(
        "Delete one value wherever the vault has it",
        tag="vault",
        answers={200: Deleted},
        errors=(415, 422, 507),
        body=EraseValue,
        example={"value": "nobody@example.com"},
    ),
)
async def erase_value(request: ApiRequest, service: NamedDependency[Service]) -> Deleted:
    """In whatever case it was written, of the caller's own tenant."""
    asked = await read_json(request, EraseValue)
    return Deleted(await service.appliance.minimising.erase(request.user.tenant, asked.value, actor=request.user.actor))
