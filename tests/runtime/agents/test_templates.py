"""Templates give values or text, and reach nothing but the data they are given."""

import pytest

from runtime.agents.templates import Template
from runtime.domain.canonical import Json
from runtime.errors import Invalid, StepFailure

DATA: dict[str, Json] = {"input": {"message": "hi", "n": 2}, "steps": {"a": {"hits": [{"id": "x"}]}}, "goal": "win"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ input.n }}", 2),
        ("{{ steps.a.hits }}", [{"id": "x"}]),
        ("{{ steps.a.hits.0.id }}", "x"),
        ("{{ steps.missing.x }}", None),
        ("{{ steps.missing.x or '' }}", ""),
        ("Say {{ input.message }}!", "Say hi!"),
        ("Given {{.goal}}", "Given win"),
        ({"m": "{{ input.message }}", "k": [1, "{{ goal }}"]}, {"m": "hi", "k": [1, "win"]}),
        ("{% for h in steps.a.hits %}{{ h.id }};{% endfor %}", "x;"),
        ("{{ input | json }}", '{"message": "hi", "n": 2}'),
        ("plain", "plain"),
        (7, 7),
    ],
)
def test_templates_render(source: Json, expected: Json) -> None:
    assert Template(source).render(DATA) == expected


def test_names_are_the_roots_that_are_read() -> None:
    assert Template({"a": "{{ input.x }}", "b": "{{ goal }} {{ steps.z }}"}).names == {"input", "goal", "steps"}


@pytest.mark.parametrize("source", ["{{ input.", "{% if %}", "{{ 1 +"])
def test_what_is_no_template_is_refused_when_it_is_compiled(source: str) -> None:
    with pytest.raises(Invalid):
        Template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }} x",
        "{{ range(10) }} x",
        "{{ input.message.format.__globals__ }}{{ 1/0 }}",
        "{{ cycler.__init__.__globals__.os }} x",
    ],
)
def test_the_sandbox_holds(source: str) -> None:
    try:
        rendered = Template(source).render(DATA)
    except StepFailure:
        return
    assert "class" not in str(rendered)
    assert "module" not in str(rendered)


def test_a_template_that_explodes_is_stopped() -> None:
    with pytest.raises(StepFailure):
        Template("{{ 'x' * 2000000 }} y").render(DATA)


def test_a_filter_on_the_wrong_kind_of_value_fails_the_step_and_crashes_nothing() -> None:
    """Jinja's own filters raise AttributeError for it."""
    with pytest.raises(StepFailure, match=r"template\.failed"):
        Template("{{ input | dictsort }}.").render({"input": [1]})


def test_nothing_in_a_template_is_left_to_chance() -> None:
    """A step's input is not kept: it is rendered again after a crash."""
    with pytest.raises(Invalid, match="random"):
        Template("a {{ input | random }}")


def test_a_loop_is_cut_off_where_its_text_grows_too_long() -> None:
    """8,000,000,000 rounds would hold up every run of the process."""
    loops = "{% for i in x %}{% for j in x %}{% for k in x %}{{ i }}{% endfor %}{% endfor %}{% endfor %}"
    with pytest.raises(StepFailure, match="too_long"):
        Template(loops).render({"x": list(range(2_000))})


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("Hi {{ input.name }}, {{ input.n / 0 }}", "{{ input.n / 0 }} cannot be rendered (ZeroDivisionError)"),
        ("{{ input.name + 3 }} x", "{{ input.name + 3 }} cannot be rendered (TypeError): input.name is a text"),
        ("{{ input.n | round('kept') }} x", "{{ input.n | round('…') }} cannot be rendered"),
        ("a\n{% for x in input.n %}{{ x }}{% endfor %}", "cannot be rendered in its line 2: TypeError"),
    ],
)  # fmt: skip
def test_what_cannot_be_rendered_is_named(template: str, told: str) -> None:
    """The expression and the kind of what it reads; no value, and none of the text, which may be a prompt."""
    with pytest.raises(StepFailure) as caught:
        Template(template).render({"input": {"name": "a secret name", "n": 1}})
    assert told in caught.value.message
    assert "secret name" not in caught.value.message
    assert "kept" not in caught.value.message
