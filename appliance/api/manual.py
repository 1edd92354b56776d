"""The API's own description and the page that shows it. Everything the page loads comes from here."""

from functools import cache
from http import HTTPStatus
from importlib.resources import files

from litestar import Litestar, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from appliance.api.bodies import ApiRequest
from appliance.api.openapi import describe
from appliance.api.operations import describes
from appliance.api.problems import HttpError
from appliance.api.service import Service

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
}
PAGE = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>AgentFlow API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
  <div id="api"></div>
  <script src="/docs/assets/swagger-ui-bundle.js"></script>
  <script src="/docs/assets/start.js"></script>
</body>
</html>
"""
# the browser itself refuses whatever the page might load from elsewhere
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@get(
    "/openapi.json",
    name="openapi",
    **describes("This description", tag="manual", answers={200: "application/json"}, is_public=True),
)
async def openapi(request: ApiRequest, service: NamedDependency[Service]) -> Response[bytes]:
    """OpenAPI 3.1."""
    return Response(_described(request.app, service.version), media_type="application/json")


@get(
    "/docs", name="docs", **describes("A page to try the API", tag="manual", answers={200: "text/html"}, is_public=True)
)
async def docs() -> Response[str]:
    """Works with no network: it loads nothing from anywhere else."""
    return Response(PAGE, media_type="text/html", headers={"content-security-policy": CONTENT_POLICY})


@get("/docs/assets/{name:str}", name="docs_asset")
async def docs_asset(name: FromPath[str]) -> Response[bytes]:
    """Swagger UI 5.35.0, unchanged, and the few lines that start it."""
    if name not in ASSETS:
        raise HttpError(HTTPStatus.NOT_FOUND, "http.not_found", f"the page has no file {name[:100]!r}")
    return Response(_asset(name), media_type=ASSETS[name], headers={"cache-control": "public, max-age=86400"})


@cache
def _asset(name: str) -> bytes:
    return files("appliance.api").joinpath("assets", name).read_bytes()


@cache
def _described(app: Litestar, version: str) -> bytes:
    return describe(app, version)
