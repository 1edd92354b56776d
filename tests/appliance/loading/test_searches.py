"""What a web_search agent lacks is said before a run."""

import pytest

from appliance.loader import check_bytes

HEAD = "name: x\nagents:\n  researcher:\n    type: web_search\n"


def told(more: str) -> list[tuple[str, int, str, str]]:
    found = check_bytes((HEAD + more).encode()).problems
    return [(each.code, each.line, each.severity, each.path) for each in found]


@pytest.mark.parametrize(
    "more",
    [
        "    memory: {long_term: {collection: news}}\n",
        "    config: {live: true, url: 'http://localhost:8888', count: 5, time_range: day}\n",
    ],
)
def test_an_index_or_a_service_is_enough(more: str) -> None:
    assert [] == told(more)


@pytest.mark.parametrize(
    ("more", "code", "line", "severity"),
    [
        ("", "web_search.nothing_to_search", 4, "refusal"),
        ("    config: {url: 'http://localhost:8888'}\n", "web_search.nothing_to_search", 4, "refusal"),
        ("    config: {live: true}\n", "web_search.no_service", 5, "refusal"),
        ("    memory: {long_term: {collection: a}}\n    config: {count: 3}\n", "key.not_active", 6, "warning"),
        ("    config: {live: true, url: localhost}\n", "value.form", 5, "error"),
        ("    config: {live: true, url: 'http://a', cuont: 3}\n", "key.unknown", 5, "error"),
        (
            "    memory: {long_term: {collection: a}}\n    config: {live: true, url: 'http://a'}\n",
            "key.conflict",
            6,
            "error",
        ),
        ("    memory: {long_term: {collection: a}}\n    tools: [create_ticket]\n", "agent.tools", 6, "warning"),
    ],
)
def test_what_is_missing_or_wrong_has_its_line(more: str, code: str, line: int, severity: str) -> None:
    assert (code, line, severity) in [each[:3] for each in told(more)]
