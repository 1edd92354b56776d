"""Runs taken elsewhere and back, over HTTP."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from msgspec import Meta

from appliance.api.bodies import ApiRequest, read_json
from appliance.api.operations import describes
from appliance.api.service import Service
from appliance.runs.archive import Export, FileView, ImportView, export_file, import_file


class ImportRuns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of runs."""

    content: Annotated[str, Meta(min_length=1, description="The file, as it was exported.")]


@post(
    "/v1/exports",
    name="export_runs",
    status_code=HTTPStatus.OK,
    **describes(
        "Write runs into a file, to be looked at elsewhere",
        tag="runs",
        answers={200: FileView},
        errors=(403, 404, 415, 422, 507),
        body=Export,
        example={"runs": ["r-01m8abyztesbrt7eqyy14czf9q"], "minimise": True},
    ),
)
async def export_runs(request: ApiRequest, service: NamedDependency[Service]) -> FileView:
    """With the runs of their steps; the audit log says who asked."""
    asked = await read_json(request, Export)
    return FileView((await export_file(service.appliance, asked, actor=request.user.actor)).decode())


@post(
    "/v1/imports",
    name="import_runs",
    status_code=HTTPStatus.OK,
    **describes(
        "Take in runs from a file, to be looked at",
        tag="runs",
        answers={200: ImportView},
        errors=(409, 415, 422, 507),
        body=ImportRuns,
    ),
)
async def import_runs(request: ApiRequest, service: NamedDependency[Service]) -> ImportView:
    """Their hashes are checked before anything is kept; they are never gone on with."""
    asked = await read_json(request, ImportRuns)
    return await import_file(service.appliance, asked.content.encode(), actor=request.user.actor)
