"""Python functions as tools: their schemas and options, out of the source alone."""

from pathlib import Path

import pytest

from appliance.loader import check_bytes, from_document
from appliance.loading.tool_specs import specs_of
from runtime.domain.schema import Schema
from runtime.domain.tool import RateLimit, ToolSpec

FILE = '''
from typing import Literal, Optional
import agentflow

raise SystemExit("nobody runs this to read it")

@agentflow.tool(cost=0.001, rate_limit="100/hour", level="medium", idempotent=True, cache="10m", timeout="2s")
def calculate_total(lines: list[float], tax: float = 0.19, *, kind: Literal["net", "gross"] = "net", ctx=None) -> float:
    """Add up
    an invoice.

    Not for the model.
    """
    return sum(lines)

def plain(a, b: "Optional[int]", c: dict[str, int | None]): ...
async def later(a: int): ...
def many(*values: int): ...
def strange(a: Path): ...
@agentflow.tool(cost=PRICE)
def priced(a: int): ...
@agentflow.tool(colour=1)
def coloured(a: int): ...
'''
DESK = """
name: desk
tool_registry: {tools: {total: {type: function, handler: "tools.py:NAME", MORE}}}
agents: {a: {type: llm, prompt: x, tools: [total]}}
"""


def read(folder: Path, name: str, more: str = "") -> tuple[ToolSpec | None, list[str]]:
    """The tool's specification, and the codes of what is wrong."""
    (folder / "tools.py").write_text(FILE)
    text = DESK.replace("NAME", name).replace("MORE", more)
    checked = check_bytes(text.encode(), file=str(folder / "desk.yaml"), folder=folder)
    if checked.workflow is None:
        return None, [problem.code for problem in checked.problems]
    stored = from_document(checked.workflow.document, "/elsewhere")
    assert stored.hash == checked.workflow.hash
    [spec] = specs_of(stored.document, "desk")
    return spec, [problem.code for problem in checked.problems]


def test_what_stands_in_the_source_is_the_tools_specification(tmp_path: Path) -> None:
    """Its file is parsed: a definition is read before anybody trusts it."""
    spec, problems = read(tmp_path, "calculate_total")
    assert spec is not None
    assert ([], "Add up an invoice.", "tool.function") == (problems, spec.description, spec.kind)
    assert (1_000, RateLimit(100, 3_600_000), "medium", True, 600_000, 2_000) == (
        spec.cost_usd_micros, spec.rate_limit, spec.security_level, spec.is_idempotent, spec.cache_ms, spec.timeout_ms
    )  # fmt: skip
    assert (["lines"], ["lines", "tax", "kind"]) == (
        spec.input_schema["required"], list(spec.input_schema["properties"])  # type: ignore[arg-type]
    )  # fmt: skip
    takes = Schema(spec.input_schema)
    assert ["", "lines", "kind", "", "expected"] == [
        takes.fault(each).partition(":")[0].partition(" ")[0].partition("/")[0]  # type: ignore[arg-type]
        for each in (
            {"lines": [1, 2.5]},
            {"lines": ["1"]},
            {"lines": [], "kind": "x"},
            {"lines": [], "tax": 0, "kind": "gross"},
            {"lines": [], "ctx": 1},
        )
    ]
    assert {"type": "number"} == spec.output_schema


def test_what_the_definition_says_goes_before_what_the_function_says(tmp_path: Path) -> None:
    spec, _ = read(tmp_path, "calculate_total", "security_level: high, description: mine")
    assert spec is not None
    assert ("high", "mine") == (spec.security_level, spec.description)


def test_annotations_may_be_left_out_or_written_as_texts(tmp_path: Path) -> None:
    spec, problems = read(tmp_path, "plain")
    assert spec is not None
    assert ([], None) == (problems, spec.output_schema)
    takes = Schema(spec.input_schema)
    assert "" == takes.fault({"a": [1], "b": None, "c": {"x": None, "y": 1}})
    assert takes.fault({"a": 1, "b": "2", "c": {}})


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nobody", "handler.no_function"),
        ("later", "handler.no_function"),
        ("many", "handler.arguments"),
        ("strange", "handler.annotation"),
        ("priced", "handler.options"),
        ("coloured", "handler.options"),
    ],
)
def test_what_cannot_be_a_tool_is_one_problem(tmp_path: Path, name: str, code: str) -> None:
    spec, problems = read(tmp_path, name)
    assert (None, code) == (spec, problems[0])
