"""The API's description and the page that shows it."""

import json
import re
from hashlib import sha256
from importlib.resources import files
from typing import Any

import jsonschema_rs
from litestar.routes import HTTPRoute

from appliance.api.app import build_app
from tests.appliance.api.serving import Api

UNDESCRIBED = {"/docs/assets/{name}"}


async def _description(api: Api) -> dict[str, Any]:
    description: dict[str, Any] = (await api.client.get("/openapi.json")).json()
    return description


async def test_every_operation_is_described(api: Api) -> None:
    """What the description leaves out, nobody finds."""
    described = {
        (path, method.upper())
        for path, operations in (await _description(api))["paths"].items()
        for method in operations
    }
    served = {
        (route.path_format, method)
        for route in build_app().routes
        if isinstance(route, HTTPRoute) and route.path_format not in UNDESCRIBED
        for method in route.methods - {"OPTIONS"}
    }
    assert described == served


async def test_every_reference_and_link_leads_somewhere(api: Api) -> None:
    """A client generated from a description with a loose end does not compile."""
    text = (await api.client.get("/openapi.json")).text
    description = json.loads(text)
    for reference in set(re.findall(r'"\$ref":"#/([^"]+)"', text)):
        place = description
        for key in reference.split("/"):
            place = place[key]
    operations = [operation for path in description["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert set(re.findall(r'"links":\{"(\w+)"', text)) <= set(names)


async def test_every_schema_is_a_schema_and_every_example_fits(api: Api) -> None:
    """OpenAPI 3.1 schemas are JSON Schema 2020-12."""
    description = await _description(api)
    for operations in description["paths"].values():
        for operation in operations.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                schema = {**media["schema"], "components": description["components"]}
                validator = jsonschema_rs.Draft202012Validator(schema)
                assert "example" not in media or validator.is_valid(media["example"])


async def test_paths_name_their_parameters(api: Api) -> None:
    """One missing makes the whole description invalid."""
    for path, operations in (await _description(api))["paths"].items():
        for operation in operations.values():
            named = {found["name"] for found in operation["parameters"] if found["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


async def test_every_error_is_described_as_a_problem(api: Api) -> None:
    """And every operation but the open ones says that it needs a key."""
    description = await _description(api)
    assert description["security"] == [{"apiKey": []}]
    for path, operations in description["paths"].items():
        for operation in operations.values():
            errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
            shape = "Error" if operation["tags"] == ["models"] else "Problem"
            assert {f"#/components/responses/{shape}"} == {answer["$ref"] for answer in errors.values()}
            is_open = operation.get("security") == []
            assert is_open is not ("401" in errors), path
            assert is_open is not path.startswith(("/v1", "/metrics", "/hooks")), path


async def test_answers_are_as_described(api: Api) -> None:
    """A few real ones, against their schemas."""
    description = await _description(api)
    run = (await api.run("ask", wait=True))["run_id"]
    asked = {
        "RunView": f"/v1/runs/{run}",
        "RunPage": "/v1/runs",
        "WorkflowList": "/v1/workflows",
        "WorkflowView": "/v1/workflows/echo",
        "Health": "/readyz",
        "ProblemDocument": "/v1/runs/r-none",
    }
    for name, path in asked.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": description["components"]}
        answer = (await api.client.get(path)).json()
        assert [] == [str(error) for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(answer)], path


async def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    """It has to work in a room without a network, and to tell nobody that it was opened."""
    page = await api.client.get("/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"/docs/assets/", "data:,"} == {re.sub(r"[^/]+$", "", link) if link[0] == "/" else link for link in loaded}
    for path in (link for link in loaded if link.startswith("/")):
        asset = await api.client.get(path)
        assert asset.status_code == 200
        assert asset.headers["content-type"].startswith(("text/css", "text/javascript")), path


def test_the_vendored_files_are_unchanged() -> None:
    """Their README names what they must be."""
    folder = files("appliance.api").joinpath("assets")
    sums = dict(
        line.split()[::-1] for line in folder.joinpath("README.md").read_text().splitlines() if line[:4] == "    "
    )
    assert {"swagger-ui-bundle.js", "swagger-ui.css"} == set(sums)
    assert sums == {name: sha256(folder.joinpath(name).read_bytes()).hexdigest() for name in sums}
