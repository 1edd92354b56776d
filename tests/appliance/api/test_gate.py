"""What every request passes first: its host, its caller, its id."""

from urllib.parse import unquote

import pytest

from appliance.api.gate import Entrance, Gate
from appliance.auth.callers import LOCAL_CALLER, Caller, allows_host, caller_of, host_names
from tests.appliance.api.serving import Api

CLOSED = ["/v1/runs", "/v1/workflows", "/v1/runs/r-1/events", "/metrics", "/nope", "/", "/healthz/", "//healthz"]
CLOSED += ["/docs/../v1/runs", "/docs/", "/openapi.json/x", "/HEALTHZ"]


async def test_nothing_is_shown_without_a_key(api: Api) -> None:
    """Closed unless listed: a new path starts out closed, and one that does not exist tells nothing."""
    assert {path: 401 for path in CLOSED} == {path: await _status_of(api, path) for path in CLOSED}
    async with api.client_with({}) as stranger:
        assert (await stranger.get("/v1/runs")).headers["www-authenticate"].startswith("Bearer")


async def test_no_way_leads_out_of_the_open_folder(api: Api) -> None:
    """The router must see the path that the gate has let through."""
    for path in ("/docs/assets/../../v1/runs", "/docs/assets/..%2f..%2fv1/runs", "/docs/assets//v1/runs"):
        assert 404 == await _status_of(api, path), path


async def test_probes_and_the_manual_need_no_key(api: Api) -> None:
    """A probe has none, and a browser cannot send one before the page is there."""
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/docs/assets/start.js"):
        assert 200 == await _status_of(api, path), path


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer "],
        [b"Bearer wrong"],
        [b"Basic good"],
        [b"good"],
        [b"Bearer good", b"Bearer good"],
        [b"Bearer good", b"Bearer wrong"],
        [b"Bearer \xff"],
        [b"Bearer goo"],
        [b"Bearer goodd"],
    ],
)
def test_only_one_good_key_opens(headers: list[bytes]) -> None:
    """Two headers that disagree are how one proxy's check is slipped past another's."""
    assert caller_of(headers, lambda key: Caller("first") if key == "good" else None) is None


@pytest.mark.parametrize("header", [b"Bearer good", b"bearer good", b"BEARER  good "])
def test_a_good_key_names_its_owner(header: bytes) -> None:
    """The name stands in the journal of what it asks for."""
    assert caller_of([header], lambda key: Caller("first") if key == "good" else None) == Caller("first")


async def test_the_actor_is_kept_with_the_run(api: Api) -> None:
    """An operator has to see who started what."""
    run = (await api.run("echo", wait=True))["run_id"]
    assert (await api.service.engine.state(run)).actor == "first"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8700", True),
        ("localhost", True),
        ("LocalHost:99", True),
        ("localhost.", True),
        ("[::1]:8700", True),
        ("af.example", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8700", False),
        ("10.0.0.7", False),
        ("", False),
        ("[", False),
        ("localhost@evil.example", False),
    ],
)
def test_a_page_of_another_site_is_not_served(header: str, allowed: bool) -> None:
    """DNS rebinding: a browser on this machine would carry a foreign page's requests here, under its own name."""
    names = host_names("127.0.0.1", ["AF.example"])
    assert allows_host(header, names, any_address=False) is allowed


def test_a_server_on_every_address_takes_literal_ones() -> None:
    """A literal address is not resolved, so it cannot be rebound."""
    assert allows_host("10.0.0.7:8700", host_names("0.0.0.0"), any_address=True)
    assert not allows_host("evil.example", host_names("0.0.0.0"), any_address=True)


async def test_a_foreign_host_is_turned_away_before_anything_else(api: Api) -> None:
    """With a good key and on an open path alike."""
    for path in ("/v1/runs", "/healthz"):
        answer = await api.client.get(path, headers={"host": "evil.example"})
        assert (answer.status_code, answer.json()["type"]) == (421, "urn:agentflow:problem:http.unknown_host")


async def test_the_socket_needs_neither_key_nor_host(api: Api) -> None:
    """Its file's mode has already said who may come in."""
    local = Api(api.service, Gate(api.gate._app, api.service, Entrance(caller=LOCAL_CALLER)), "")
    async with local.client_with({"host": "anything"}) as client:
        run = (await client.post("/v1/runs", json={"workflow": "echo", "input": {}})).json()["run_id"]
    assert (await api.service.engine.state(run)).actor == "local"


async def test_a_request_has_an_id_that_its_problem_names(api: Api) -> None:
    """It is what leads from a user's report to the log."""
    fine, refused = await api.client.get("/healthz"), await api.client.get("/v1/runs/r-none")
    assert fine.headers["x-request-id"] != refused.headers["x-request-id"]
    assert refused.headers["x-request-id"] == refused.json()["instance"]


async def test_every_answer_is_hardened(api: Api) -> None:
    """Errors and refusals as well."""
    for path in ("/healthz", "/nope"):
        headers = (await api.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


async def _status_of(api: Api, path: str) -> int:
    """The answer to a stranger's request for a path exactly as it is spelled; a client would tidy it up first."""
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    scope = {"type": "http", "method": "GET", "path": unquote(path), "raw_path": path.encode(), "query_string": b""}
    scope |= {"root_path": "", "scheme": "http", "http_version": "1.1", "headers": [(b"host", b"localhost")]}
    await api.gate(scope, receive, send)  # type: ignore[arg-type]  # what a server passes, as far as it is read
    return statuses[0]
