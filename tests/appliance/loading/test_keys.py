"""Keys and values: every slip is named with its line, its path and what was meant."""

import pytest

from appliance.loader import check_bytes, from_document
from appliance.loading.site import Site
from runtime.domain.problem import Problem

HEAD = "name: x\n"
AGENT = "agents:\n  a:\n    type: llm\n"


def problems(text: str) -> list[Problem]:
    return list(check_bytes(text.encode(), file="w.yaml").problems)


def told(text: str) -> list[tuple[str, int, str]]:
    return [(each.code, each.line, each.path) for each in problems(text)]


@pytest.mark.parametrize(
    ("text", "line", "path", "meant"),
    [
        (f"{HEAD}{AGENT}polices: {{}}\n", 5, "polices", "policies"),
        (f"{HEAD}agents:\n  a:\n    typ: llm\n", 4, "agents.a.typ", "type"),
        (f"{HEAD}{AGENT}    model:\n      provder: local\n", 6, "agents.a.model.provder", "provider"),
        (f"{HEAD}{AGENT}    retry: {{max_atempts: 2}}\n", 5, "agents.a.retry.max_atempts", "max_attempts"),
        (f"{HEAD}{AGENT}    memory:\n      long_term: {{kk: 3}}\n", 6, "agents.a.memory.long_term.kk", "k"),
        (f"{HEAD}{AGENT}workflow: {{timeut: 2s}}\n", 5, "workflow.timeut", "timeout"),
        (f"{HEAD}{AGENT}triggers:\n  - http_endpont: {{path: /x}}\n", 6, "triggers.0.http_endpont", "http_endpoint"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text: str, line: int, path: str, meant: str) -> None:
    """The key is read as the one that was meant, so that one slip is one problem."""
    (problem,) = [each for each in problems(text) if each.severity == "error"]
    assert ("key.unknown", line, path) == (problem.code, problem.line, problem.path)
    assert f"did you mean {meant!r}?" == problem.hint


def test_a_key_that_resembles_nothing_gets_the_list_of_known_ones() -> None:
    """A wrong guess would be worse than none."""
    (problem,) = problems(f"{HEAD}{AGENT}zzz: 1\n")
    assert "" == problem.hint
    assert "known: version, name, description, agents" in problem.message


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("agents: {a: {type: llm}}\nplanner: {}\nname: 5", "value.kind", "name"),
        ("name: a b\nagents: {a: {type: llm}}", "value.form", "name"),
        (f"{HEAD}agents: 5", "value.kind", "agents"),
        (f"{HEAD}agents: {{}}", "value.empty", "agents"),
        (f"{HEAD}agents: {{a: [llm]}}", "value.kind", "agents.a"),
        (f"{HEAD}agents: {{'a b': {{type: llm}}}}", "value.form", "agents.a b"),
        (f"{HEAD}agents: {{a: {{role: x}}}}", "key.missing", "agents.a"),
        (f"{HEAD}agents: {{a: {{type: lm}}}}", "agent.type", "agents.a.type"),
        (f"{HEAD}agents: {{a: {{type: llm, id: b}}}}", "agent.id", "agents.a.id"),
        (f"{HEAD}agents: {{a: {{type: llm, idd: b}}}}", "agent.id", "agents.a.id"),
        (f"{HEAD}{AGENT}    timeout: 0s", "value.quantity", "agents.a.timeout"),
        (f"{HEAD}{AGENT}    timeout: [1]", "value.quantity", "agents.a.timeout"),
        (f"{HEAD}{AGENT}    concurrency: 1.5", "value.kind", "agents.a.concurrency"),
        (f"{HEAD}{AGENT}    concurrency: true", "value.kind", "agents.a.concurrency"),
        (f"{HEAD}{AGENT}    retry: 3", "value.kind", "agents.a.retry"),
        (f"{HEAD}{AGENT}    retry: {{jitter: 1.5}}", "value.kind", "agents.a.retry.jitter"),
        (f"{HEAD}{AGENT}    retry: {{initial: 2s, max: 1s}}", "value.range", "agents.a.retry.max"),
        (f"{HEAD}{AGENT}    role: 7", "value.kind", "agents.a.role"),
        (f"{HEAD}{AGENT}    role: '  '", "value.empty", "agents.a.role"),
        (f"{HEAD}{AGENT}    tools: create_ticket", "value.kind", "agents.a.tools"),
        (f"{HEAD}{AGENT}    model: {{provider: opnai}}", "value.unknown", "agents.a.model.provider"),
        (f"{HEAD}{AGENT}    model: nobody/x", "value.unknown", "agents.a.model.provider"),
        (f"{HEAD}{AGENT}    model: {{model: a, name: b}}", "key.conflict", "agents.a.model"),
        (f"{HEAD}{AGENT}    prompt: '{{{{ input'", "template.invalid", "agents.a.prompt"),
        (f"{HEAD}{AGENT}    input: {{a: '{{% for %}}'}}", "template.invalid", "agents.a.input"),
        (f"{HEAD}{AGENT}    output_schema: {{type: objekt}}", "schema.invalid", "agents.a.output_schema"),
        (f"{HEAD}{AGENT}    output_schema: {{$ref: 'http://x/y'}}", "schema.invalid", "agents.a.output_schema"),
        (f"{HEAD}{AGENT}    handler: a.py:b", "key.misplaced", "agents.a.handler"),
        (f"{HEAD}{AGENT}    url: http://x/", "key.misplaced", "agents.a.url"),
        (f"{HEAD}agents: {{a: {{type: http}}}}", "key.missing", "agents.a"),
        (f"{HEAD}agents: {{a: {{type: ml_model}}}}", "key.missing", "agents.a.model"),
        (f"{HEAD}agents: {{a: {{type: fsm}}}}", "key.missing", "agents.a"),
        (f"{HEAD}agents: {{a: {{type: http, url: x, config: {{url: y}}}}}}", "key.conflict", "agents.a.url"),
        (f"{HEAD}{AGENT}version: 2", "version.unknown", "version"),
        (f"{HEAD}{AGENT}input_schema: [x]", "value.kind", "input_schema"),
        (f"{HEAD}{AGENT}policies: {{cost_budget: lots}}", "value.quantity", "policies.cost_budget"),
        (f"{HEAD}{AGENT}policies: {{rate_limit: 100/fortnight}}", "value.form", "policies.rate_limit"),
        (f"{HEAD}{AGENT}policies: {{escalation_threshold: often}}", "value.form", "policies.escalation_threshold"),
        (f"{HEAD}{AGENT}policies: {{appeals_process: perhaps}}", "value.unknown", "policies.appeals_process"),
        (f"{HEAD}{AGENT}workflow: {{sla: 101%}}", "value.form", "workflow.sla"),
        (f"{HEAD}{AGENT}workflow: {{type: parallel}}", "value.unknown", "workflow.type"),
        (f"{HEAD}{AGENT}workflow: {{type: fsm}}", "planner.missing", "workflow"),
        ("memory: {short_term: {enabled: perhaps}}", "value.kind", "memory.short_term.enabled"),
        ("memory: {long_term: {backend: pinecon}}", "value.unknown", "memory.long_term.backend"),
        ("tool_security: {default_sandbox: gviso}", "value.unknown", "tool_security.default_sandbox"),
        (
            "tool_security: {resource_limits: {memory: 512XB}}",
            "value.quantity",
            "tool_security.resource_limits.memory",
        ),
        ("tool_registry: {tools: {t: {permissions: [x]}}}", "key.missing", "tool_registry.tools.t"),
        ("tenants: {a: {resource_quotas: {max_agents: -1}}}", "value.kind", "tenants.a.resource_quotas.max_agents"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_path(text: str, code: str, path: str) -> None:
    """Each shape says what it expected."""
    assert (code, path) in [(each.code, each.path) for each in problems(text) if each.severity == "error"]


@pytest.mark.parametrize(
    "text",
    [
        "    model: scripted/x\n",
        "    model: smollm2-135m-instruct\n",
        '    model: {provider: local, name: smollm2-135m-instruct, stop: ["\\n"], max_tokens: 32, seed: 7}\n',
        "    memory: {long_term: {enabled: yes}}\n",
        "    timeout: 1.5s\n    retry: {max_attempts: 1, initial: 10ms, max: 1s, multiplier: 1, jitter: 0}\n",
        "    tools:\n    memory:\n",
        "    prompt: 'Goal: {{.goal}}'\n    input: {a: ['{{ input.x }}', 3]}\n",
        "    id: a\n    config: {anything: {at: all}}\n",
        "version: 1\ndescription: d\noutput: {a: '{{ last }}'}\ninput_schema: {type: object}\n",
        "triggers: [{http_endpoint: {path: /chat, method: POST}}]\n",
        "workflow: {type: sequential, timeout: 10m, max_steps: 5}\n",
    ],
)
def test_what_is_right_is_not_complained_about(text: str) -> None:
    """False alarms teach people to ignore the true ones."""
    assert [] == problems(f"{HEAD}{AGENT}{text}")


def test_messages_never_quote_free_text() -> None:
    """A role, a prompt or a header may hold a secret, and problems end up in logs and tickets."""
    secret = "hunter2-hunter2"
    text = (
        f"{HEAD}agents:\n  a:\n    type: http\n    url: http://h/\n    role: [{secret}]\n    timeout: {{x: {secret}}}\n"
        f"    headers: {{authorization: [{secret}]}}\n    retry: {secret}\n    concurrency: {secret}\n"
    )
    found = problems(text)
    assert 5 == len(found)
    assert secret not in "".join(map(str, found))


def test_refusals_name_the_setting_that_lifts_them() -> None:
    """A cloud model is refused, unless the settings answer its name with another model."""
    text = f"{HEAD}{AGENT}    model: {{provider: openai, model: gpt-4}}\n"
    (refusal,) = problems(text)
    assert ("refusal", "model.provider", 5) == (refusal.severity, refusal.code, refusal.line)
    assert "models.aliases" in refusal.hint
    assert () == check_bytes(text.encode(), site=Site(models=frozenset({"openai/gpt-4"}))).problems


def test_a_server_of_the_settings_provides_models_by_its_name() -> None:
    """Whatever it is called; one that they do not name is none, and a stored definition is read all the same."""
    for model in ("{provider: gpu-1, model: llama3}", "gpu-1/llama3"):
        text = f"{HEAD}{AGENT}    model: {model}\n"
        loaded = check_bytes(text.encode(), site=Site(servers=frozenset({"gpu-1"})))
        assert () == loaded.problems
        assert loaded.workflow is not None
        assert loaded.workflow == from_document(loaded.workflow.document, "")
        (problem,) = check_bytes(text.encode(), site=Site(servers=frozenset({"gpu-2"}))).problems
        assert ("value.unknown", "did you mean 'gpu-2'?") == (problem.code, problem.hint)


def test_a_memory_that_the_settings_map_is_a_warning() -> None:
    """As an alias of a model: the local one answers in its place."""
    text = f"{HEAD}agents: {{a: {{type: rag, memory: {{long_term: {{backend: pinecone, collection: c}}}}}}}}"
    (refusal,) = check_bytes(text.encode()).problems
    assert ("memory.remote", "refusal") == (refusal.code, refusal.severity)
    assert "memory.backends: {pinecone: local}" in refusal.hint
    (warning,) = check_bytes(text.encode(), site=Site(memories=frozenset({"pinecone"}))).problems
    assert ("memory.mapped", "warning") == (warning.code, warning.severity)


@pytest.mark.parametrize(
    ("agent", "code"),
    [
        ("{type: custom}", "agent.no_handler"),
        ("{type: rag}", "agent.no_folder"),
        ("{type: llm, model: {provider: ollama, model: m}}", "model.provider"),
        ("{type: llm, planner: {type: fsm, definition: gone.yaml}}", "planner.no_file"),
        ("{type: rag, memory: {long_term: {backend: pinecone, folder: f}}}", "memory.remote"),
        (
            "{type: fsm, planner: {type: fsm, initial_state: s, states: {s: {wait_for: p, on_success: t}, t: {}}}}",
            "state.not_pure",
        ),
    ],
)
def test_what_does_not_run_in_this_version_loads_and_is_refused(agent: str, code: str) -> None:
    """The same document will run when the feature comes; until then a run says why not."""
    assert code in [each.code for each in problems(f"{HEAD}agents: {{a: {agent}}}") if each.severity == "refusal"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("policies: {permissions: [read]}\n", "policies.permissions"),
        ("workflow: {sla: 99.9%}\n", "workflow.sla"),
        ("triggers: [{slack_integration: {channel: x}}]\n", "triggers.0.slack_integration"),
    ],
)
def test_what_has_no_effect_yet_is_a_warning(text: str, path: str) -> None:
    """A budget that nobody enforces must not look enforced."""
    assert [("key.not_active", 5, path)] == told(f"{HEAD}{AGENT}{text}")


def test_two_hundred_problems_are_told_and_the_rest_is_counted() -> None:
    """A megabyte of wrong keys must not become a hundred megabytes of answer."""
    found = problems(HEAD + AGENT + "".join(f"zz{number}: 1\n" for number in range(5_000)))
    assert 201 == len(found)
    assert "4800 more" in found[-1].message
