"""Settings come from four places, the nearest wins, and a mistake is named where it was made."""

import json
from pathlib import Path

import pytest

from appliance.config.edit import set_value
from appliance.config.known import SETTINGS
from appliance.config.settings import data_folder, load_settings
from appliance.config.sources import resolve
from runtime.errors import Invalid, Unavailable


def write(folder: Path, text: str) -> Path:
    (folder / "config.yaml").write_text(text)
    return folder


def test_nothing_said_gives_the_defaults(tmp_path: Path) -> None:
    """And writes nothing."""
    settings = load_settings(tmp_path / "new", {})
    assert ("restricted", "full", "127.0.0.1:8700") == (settings.mode, settings.durability, settings.listen)
    assert tmp_path / "new" / "models" == settings.models_folder
    assert tmp_path / "new" / "run" / "af.sock" == settings.socket
    assert not (tmp_path / "new").exists()


def test_the_nearest_source_wins(tmp_path: Path) -> None:
    """Defaults, file, environment, flags, in this order."""
    folder = write(tmp_path, "mode: connected\ndurability: normal\nlisten: 127.0.0.1:1\n")
    env = {"AGENTFLOW_DURABILITY": "full", "AGENTFLOW_LISTEN": "127.0.0.1:2"}
    found = resolve(folder, env, {"listen": "127.0.0.1:3"})
    assert [("connected", "config.yaml"), ("full", "AGENTFLOW_DURABILITY"), ("127.0.0.1:3", "flag")] == [
        (found[key].value, found[key].source) for key in ("mode", "durability", "listen")
    ]


def test_groups_nest_in_the_file(tmp_path: Path) -> None:
    """`models:` holds three settings and a mapping."""
    folder = write(tmp_path, "models:\n  aliases: {openai/gpt-4: local/x}\n  threads: 2\n")
    models = load_settings(folder, {"AGENTFLOW_MODELS": "/srv/models"}).models
    assert ({"openai/gpt-4": "local/x"}, 2, "/srv/models") == (models.aliases, models.threads, models.folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("moed: connected", "no setting is called 'moed' .*did you mean 'mode'"),
        ("models: {alias: {}}", "no setting is called 'models.alias' .*did you mean 'models.aliases'"),
        ("models: 5", "no setting is called 'models'"),
        ("mode: airgapped", "'mode' .*expected one of air_gapped, .*did you mean 'air_gapped'"),
        ("drain_s: soon", "'drain_s' .*expected a number of seconds"),
        ("listen: 8700", "'listen' .*expected HOST:PORT"),
        ("models: {threads: true}", "'models.threads' .*expected a whole number"),
        ("models: {aliases: [a]}", "'models.aliases' .*expected a mapping"),
        ("cloud_hosts: {api.example: unknown}", "'cloud_hosts' .*from host to zone"),
        ("cloud_hosts: {api.example: 'cloud:unknown'}", "'cloud_hosts' .*from host to zone"),
        ("folders: {reports: srv/reports}", "'folders' .*absolute paths"),
        ("folders: {a/b: /srv}", "'folders' .*absolute paths"),
        ("cloud_hosts: [api.example]", "'cloud_hosts' .*api.example.com"),
        ("redaction: {modle/site: strict}", "'redaction' .*KIND/ZONE"),
        ("redaction: {cloud: strict}", "'redaction' .*KIND/ZONE"),
        ("redaction: {persist/jurnal: phi}", "'redaction' .*persist/PLACE"),
        ("- mode", "must hold one document of `key: value` lines"),
        ("mode: [", r"config.yaml:1: error\[yaml.malformed\]"),
        ("mode: connected\nmode: air_gapped", r"config.yaml:2: error\[yaml.duplicate_key\]"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    """With what was expected, and the nearest known name."""
    with pytest.raises(Invalid, match=message):
        load_settings(write(tmp_path, text), {})


@pytest.mark.parametrize(
    "pattern", ["*", "site", "cloud:eu-*", "model/site", "http/cloud:*", "*/site", "persist/*", "persist/log"]
)
def test_a_destination_of_redaction_is_named_in_every_way(tmp_path: Path, pattern: str) -> None:
    assert {pattern: "phi"} == load_settings(tmp_path, {"AGENTFLOW_REDACTION": json.dumps({pattern: "phi"})}).redaction


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    """The file may be right."""
    with pytest.raises(Invalid, match=r"'mode' \(AGENTFLOW_MODE\)"):
        load_settings(tmp_path, {"AGENTFLOW_MODE": "off"})


@pytest.mark.parametrize(
    "key",
    [
        '"url": "http://anna:hunter2-Xy9@127.0.0.1/v1"',
        '"url": "http://127.0.0.1/v1", "key_env": "hunter2-Xy9"',
        '"url": "http://127.0.0.1/v1", "api_key": "hunter2-Xy9"',
    ],
)
def test_a_key_that_stands_where_none_may_is_not_shown(tmp_path: Path, key: str) -> None:
    """It is the first mistake that everybody makes, and its message goes into tickets."""
    wrong = f'[{{"name": "vllm", "models": ["m"], {key}}}]'
    for env, text in (({"AGENTFLOW_MODELS_BACKENDS": wrong}, ""), ({}, f"models: {{backends: {wrong}}}")):
        with pytest.raises(Invalid, match=r"models\.backends") as raised:
            load_settings(write(tmp_path, text), env)
        assert "hunter2" not in str(raised.value)
        assert "hunter2" not in str(raised.value.facts)


def test_a_wrong_server_is_named(tmp_path: Path) -> None:
    two = 'models: {backends: [{name: a, url: "http://h/v1", models: [m]}, {name: b, url: "http://[::1", models: [m]}]}'
    with pytest.raises(Invalid, match=r"expected a url .*see server 'b'"):
        load_settings(write(tmp_path, two), {})


def test_an_unreadable_file_is_no_empty_one(tmp_path: Path) -> None:
    """Defaults in place of what an operator has decided could open a door."""
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(Unavailable, match="cannot be read"):
        load_settings(tmp_path, {})


def test_the_data_folder_is_absolute_wherever_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server must not depend on where it was started."""
    monkeypatch.chdir(tmp_path)
    assert tmp_path / "here" == data_folder(Path("here"), {"AGENTFLOW_DATA": "there"})
    assert tmp_path / "there" == data_folder(None, {"AGENTFLOW_DATA": "there"})
    assert Path("/xdg/agentflow") == data_folder(None, {"XDG_DATA_HOME": "/xdg"})


def test_setting_a_value_leaves_comments_and_order(tmp_path: Path) -> None:
    """The file is the operator's."""
    folder = write(tmp_path, "# ours\nmode: connected  # for now\n\n# disk\ndurability: normal\n")
    set_value(folder, "mode", "air_gapped")
    assert "# ours\nmode: air_gapped\n\n# disk\ndurability: normal\n" == (folder / "config.yaml").read_text()


AUDIT = {
    "audit.levels": '{"*": "basic", "acme/search": "none"}',
    "audit.key_file": "/etc/agentflow/audit.key",
    "audit.origin": "example.com/af-1",
    "audit.checkpoint_s": "0",
    "audit.anchor": "/mnt/stick",
    "audit.anchor_s": "600",
}


MEMORY = {"memory.backends": '{"pinecone": "local"}'}
MAIL = {
    "mail.host": "mail.example",
    "mail.port": "25",
    "mail.security": "tls",
    "mail.username": "af",
    "mail.password": "secret://smtp",
    "mail.sender": "af@example.com",
    "mail.recipients": "*@example.com",
}
UPLINK = {
    "uplink.url": "tls://broker.example:4222",
    "uplink.subjects": "runs.>,orders.*",
    "uplink.payloads": "runs.*.*.run.finish",
    "uplink.stream": "SITE-1",
    "uplink.prefix": "site1.agentflow",
    "uplink.credentials": "secret://uplink",
    "uplink.credentials_file": "/run/uplink.creds",
    "uplink.ca_file": "/run/ca.pem",
}
MODEL_SERVERS = '[{"name": "vllm", "url": "http://127.0.0.1:8000/v1", "models": ["a/b-1.5"]}]'
SANDBOXES = {"sandbox.order": "process,gvisor", "sandbox.docker_image": "tools:1", "mcp.tools": "search*"}
TOOL_SERVERS = '[{"name": "files", "command": ["node", "server.js"], "reads": ["/srv"]}]'


DAYS = {"bus_days": "30", "vault_days": "30"}


@pytest.mark.parametrize("known", SETTINGS, ids=lambda known: known.key)
def test_every_setting_can_be_written_and_read_back(tmp_path: Path, known: object) -> None:
    """Whatever its spelling in YAML is."""
    values = {"models.aliases": '{"a/b-1.5": "local/x"}', "site_hosts": "gpu-1,10.0.0.7", "listen": "[::1]:0"} | DAYS
    texts = {
        "drain_s": "1.5",
        "mcp.workflows": "support,desk-*",
        "mcp.tools": "search",
        "names_workers": "2",
        "models.threads": "4",
        "models.isolation": "thread",
        "log_level": "debug",
    }
    choices = {
        "mode": "air_gapped",
        "durability": "normal",
        "socket": "/run/a b.sock",
        "models.folder": "on",
        "preflight": "always",
        "unpriced": "warn",
        "airgap": "required",
        "minimise": "on",
    }
    key = known.key  # type: ignore[attr-defined]  # a Setting
    values |= {
        "secrets.provider": "openbao",
        "secrets.url": "https://bao.example:8200",
        "secrets.mount": "kv",
        "secrets.path": "a/b",
        "secrets.token_file": "/run/token",
        "secrets.cache_s": "0",
        "telemetry.otlp_url": "http://127.0.0.1:4318",
        "telemetry.key": "secret://collector",
        **UPLINK,
    }
    lists = {"mcp.servers": TOOL_SERVERS, "models.backends": MODEL_SERVERS} | SANDBOXES | MAIL | MEMORY
    egress = {
        "features": "cloud",
        "folders": '{"reports": "/srv/reports"}',
        "cloud_hosts": '{"api.example.com:443": "cloud:eu"}',
        "residency": "local,cloud:*",
        "data_classes": '{"phi": "local, site"}',
        "redaction": '{"cloud:*": "strict"}',
        "egress.max_bytes": "1024",
        "egress.per_minute": "0",
    }
    costs = {
        "budgets": '[{"scope": {"tenant": "*"}, "per": "day", "usd": "5.00"}, {"per": "month", "tokens": 5}]',
        "prices": '{"vllm/*": {"input_per_1k": "0.0001", "per_call": 0.00002}}',
    }
    routing = {
        "models.routes": '{"support": [["vllm/a", "b/a"], "local/x"], "openai/gpt-4": "vllm/a"}',
        "models.check_s": "1.5",
        "models.cache_ttl_s": "60",
        "models.cache_mb": "8",
    }
    kept = set_value(tmp_path / "new", key, (values | texts | choices | lists | egress | costs | routing | AUDIT)[key])
    assert (kept, "config.yaml") == (
        resolve(tmp_path / "new", {}, {})[key].value,
        resolve(tmp_path / "new", {}, {})[key].source,
    )


def test_everything_wrong_with_budgets_and_prices_is_named_at_once(tmp_path: Path) -> None:
    """With the line of the setting, the place in it and the nearest word: an operator mends the file in one go."""
    (tmp_path / "config.yaml").write_text(
        "log_level: info\n"
        "budgets:\n"
        "  - {scope: {tenat: '*'}, per: week, usd: 1}\n"
        "  - {per: day, usd: -5}\n"
        "  - {per: day, usd: 4 EUR, hrd: true}\n"
        "  - {per: day}\n"
    )
    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path, {})
    for told in (
        "(config.yaml:2)",
        "budgets[0].scope: 'tenat' is no scope; known: tenant, workflow, agent, role, tool, model, memory "
        "(did you mean 'tenant'?)",
        "budgets[0].per: 'week' is no period; known: run, hour, day, month",
        "budgets[1]: expected an amount of US dollars such as 0.01 or $50, not negative, found -5",
        "budgets[2]: 'hrd' is no key of a budget",
        "budgets[3]: a budget needs usd, tokens or both",
    ):
        assert told in refused.value.message
    (tmp_path / "config.yaml").write_text("prices: {vllm/a: {per_cal: '1'}, vllm/b: {per_call: 1 EUR}}\n")
    with pytest.raises(Invalid) as refused:
        load_settings(tmp_path, {})
    for told in ("vllm/a: 'per_cal' is no key of a price", "(did you mean 'per_call'?)", "vllm/b: Invalid decimal"):
        assert told in refused.value.message
    (tmp_path / "config.yaml").write_text("mail:\n  host: x\n  prt: 3\n")
    with pytest.raises(Invalid, match=r"'mail\.prt' \(config\.yaml:3\); did you mean 'mail\.port'"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    "wrong", ['{"s": []}', '{"s": ["m"]}', '{"s": ["a/m", "a/m"]}', '["a/m"]', '{"s": {"a": "b"}}', '{"s": 3}', "{"]
)
def test_a_route_that_leads_nowhere_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(Invalid, match=r"models\.routes"):
        set_value(tmp_path, "models.routes", wrong)
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize("wrong", ['{"redis": "local"}', '{"pinecone": "qdrant"}', "pinecone", "[]"])
def test_a_memory_that_is_not_known_is_mapped_nowhere(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(Invalid, match=r"memory\.backends"):
        set_value(tmp_path, "memory.backends", wrong)


def test_one_alias_is_set_and_taken_out(tmp_path: Path) -> None:
    """Names of models hold dots, so everything behind `models.aliases.` is the name."""
    set_value(tmp_path, "models.aliases.openai/gpt-3.5", "local/x")
    set_value(tmp_path, "models.threads", "2")
    set_value(tmp_path, "models.aliases.openai/gpt-4", "local/x")
    assert {"openai/gpt-3.5": "local/x", "openai/gpt-4": "local/x"} == load_settings(tmp_path, {}).models.aliases
    set_value(tmp_path, "models.aliases.openai/gpt-3.5", None)
    assert {"openai/gpt-4": "local/x"} == load_settings(tmp_path, {}).models.aliases
    assert 2 == load_settings(tmp_path, {}).models.threads


def test_two_mistakes_can_be_mended_one_after_the_other(tmp_path: Path) -> None:
    """Each command would otherwise be refused because of the other mistake."""
    folder = write(tmp_path, "mode: wrong\nnonsense: 1\n")
    set_value(folder, "mode", "connected")
    set_value(folder, "nonsense", None)
    assert "connected" == load_settings(folder, {}).mode


def test_a_refused_value_changes_nothing(tmp_path: Path) -> None:
    """Not even the file's existence."""
    with pytest.raises(Invalid):
        set_value(tmp_path, "mode", "open")
    assert not (tmp_path / "config.yaml").exists()
