"""Templates over any data: a path is the value itself, and whatever a text does, it fails as a step does."""

from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.filters import FILTERS as NAMED_FILTERS

from runtime.agents.templates import Template
from runtime.domain.canonical import Json
from runtime.errors import Invalid, StepFailure
from tests.properties.values import VALUES, is_same

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
SPACES = st.sampled_from(["", " ", "  ", "\n"])
BASES = ["x", "y", "input", "missing", "x.a.b", "y[0]", "'text'", "3", "0.5", "none", "[1, 'a']", "{'k': x}"]
FILTERS = sorted(NAMED_FILTERS)
ARGUMENTS = st.sampled_from(["", "", "", "(9)", "(x)", "('a')", "('a', 'b')"])
CHAINS = st.builds(
    lambda base, filters: " | ".join([base, *filters]),
    st.sampled_from(BASES),
    st.lists(st.builds("{}{}".format, st.sampled_from(FILTERS), ARGUMENTS), max_size=3),
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "and", "is"])
EXPRESSIONS = st.builds(lambda left, op, right: f"{left} {op} {right}", CHAINS, OPERATORS, CHAINS) | CHAINS
FORMS = st.sampled_from(
    [
        "a {{ %s }}",
        "{%% for i in %s %%}{{ i }}{%% endfor %%}",
        "{%% if %s %%}a{%% endif %%}",
        "{%% set z = %s %%}{{ z }}",
    ]
)


@given(st.lists(KEYS, min_size=1, max_size=4), VALUES, SPACES)
def test_a_pure_path_gives_the_value_itself(path: list[str], value: Json, space: str) -> None:
    """A number stays a number and a list a list, however deep it lies."""
    data: Json = value
    for key in reversed(path):
        data = {key: data, "other": None} if key != "other" else {key: data}
    assert isinstance(data, dict)
    assert is_same(value, Template(f"{space}{{{{{space}{'.'.join(path)}{space}}}}}{space}").render(data))


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_a_number_in_a_path_is_a_place_in_a_list(values: list[Json], data: st.DataObject) -> None:
    """And a place behind the end is nothing."""
    place = data.draw(st.integers(0, len(values)))
    found = Template(f"{{{{ x.{place} }}}}").render({"x": values})
    assert is_same(found, values[place] if place < len(values) else None)


@given(VALUES)
def test_values_without_templates_are_given_as_they_stand(value: Json) -> None:
    """A mapping is rendered member by member; only texts with braces are templates."""
    if "{" not in str(value).replace("{'", "").replace('{"', "").replace("{}", ""):
        assert is_same(value, Template(value).render({}))


@given(FORMS, EXPRESSIONS, VALUES)
@settings(max_examples=400)
def test_a_text_renders_or_fails_as_a_step_does(form: str, expression: str, value: Json) -> None:
    """A template is an author's; its mistakes are told to the author and are no crash of the agent."""
    try:
        template = Template(form % expression)
    except Invalid:
        return
    try:
        template.render({"input": value, "x": value, "y": [1, "a"]})
    except StepFailure:
        return
