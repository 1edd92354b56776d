"""Who is asked first: pure, so every row is a table of what is known."""

import pytest

from models.choice import Standing, choose
from models.routing import Route, Table, check_routes, find_routes
from models.servers import ModelServer
from runtime.errors import AgentFlowError, Invalid, NotFound, Refused, Unavailable

A, B, C = (Route(f"model.{name}", "m", "site", f"{name}:1") for name in "abc")
DEAR = Route("model.dear", "m", "site", "dear:1", cost=5.0)
SERVERS = {name: ModelServer(name=name, url=f"http://{name}.example/v1", models=("m",)) for name in ("a", "b")}


def order(
    groups: list[list[Route]], standings: dict[Route, Standing] | None = None, refused: tuple[Route, ...] = ()
) -> list[Route]:
    def refusal(route: Route) -> AgentFlowError | None:
        return Refused("egress.zone_refused", "no") if route in refused else None

    return list(choose(groups, refusal, lambda route: (standings or {}).get(route, Standing())).order)


@pytest.mark.parametrize(
    ("groups", "standings", "refused", "expected"),
    [
        ([[A], [B]], {}, (), [A, B]),
        ([[A], [B]], {A: Standing(latency_s=9.0), B: Standing(latency_s=0.1)}, (), [A, B]),
        ([[A, B]], {A: Standing(latency_s=9.0), B: Standing(latency_s=0.1)}, (), [B, A]),
        ([[DEAR, A]], {A: Standing(latency_s=9.0), DEAR: Standing(latency_s=0.1)}, (), [A, DEAR]),
        ([[A], [B]], {A: Standing(breaker="open", rest_s=3.0)}, (), [B]),
        ([[A], [B]], {A: Standing(breaker="half_open")}, (), [A, B]),
        ([[A], [B]], {A: Standing(is_well=False)}, (), [B, A]),
        ([[A], [B], [C]], {A: Standing(is_well=False)}, (B,), [C, A]),
        ([[A], [B]], {}, (A, B), [A]),
    ],
    ids=["listed", "listed-beats-time", "time", "cost", "open", "half-open", "unwell", "refused", "all-refused"],
)
def test_the_order(
    groups: list[list[Route]], standings: dict[Route, Standing], refused: tuple[Route, ...], expected: list[Route]
) -> None:
    assert expected == order(groups, standings, refused)


def test_when_all_rest_the_error_says_until_when() -> None:
    resting = Standing(breaker="open", rest_s=7.0, last_failure="http.unreachable")
    with pytest.raises(Unavailable, match=r"model\.resting.*a/m \(http\.unreachable\).*in 7 s") as raised:
        order([[A], [B]], {A: resting, B: resting})
    assert raised.value.retryable


def test_the_choice_is_told_in_words() -> None:
    refusals = {A: Refused("egress.zone_refused", "no")}
    choice = choose([[A], [B], [C]], refusals.get, lambda _route: Standing())
    told = choice.told(C, [(B, Unavailable("http.unreachable", "gone"))])
    assert told == "c/m: next of 2 that can answer; b/m: http.unreachable; a/m: skipped, egress.zone_refused"


def test_without_a_choice_there_is_nothing_to_tell() -> None:
    assert choose([[A]], lambda _route: None, lambda _route: Standing()).told(A) == ""


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("local", "support", [["a/m"], ["b/m", "local/x"]]),
        ("", "support", [["a/m"], ["b/m", "local/x"]]),
        ("openai", "gpt-4", [["a/m"]]),
        ("openai", "other", [["b/m"]]),
        ("azure", "gpt", [["a/m"]]),
        ("a", "m", [["a/m"]]),
        ("local", "x", [["local/x"]]),
    ],
)
def test_a_name_may_stand_for_several(provider: str, model: str, expected: list[list[str]]) -> None:
    routes = {"support": (("a/m",), ("b/m", "local/x")), "openai/gpt-4": (("a/m",),), "openai/*": (("b/m",),)}
    table = Table(servers=SERVERS, routes=routes, aliases={"azure/*": "openai/gpt-4"})
    found = find_routes(provider, model, "chat", table)
    assert expected == [[route.label for route in group] for group in found]


def test_a_route_names_only_what_there_is() -> None:
    with pytest.raises(NotFound, match=r"model\.not_served"):
        find_routes("local", "support", "chat", Table(servers=SERVERS, routes={"support": (("a/other",),)}))
    with pytest.raises(Invalid, match=r"model\.unknown_provider"):
        find_routes("local", "support", "chat", Table(routes={"support": (("nobody/m",),)}))


@pytest.mark.parametrize(
    "wrong", [{"s": []}, {"s": [["m"]]}, {"s": [["a/m", "a/m"]]}, {"s": [["a/m"], ["a/m"]]}, {"a/m": [["a/m"]]}]
)
def test_a_route_that_leads_nowhere_is_refused(wrong: dict[str, list[list[str]]]) -> None:
    with pytest.raises(ValueError, match=r"provider/name|no route"):
        check_routes(wrong)
