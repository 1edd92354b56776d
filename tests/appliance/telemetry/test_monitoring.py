"""The page for Prometheus, the alert rules and the dashboard fit each other; `promtool` has the last word."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from appliance.telemetry.metrics import Metrics
from appliance.uplink.view import UplinkView, figures
from runtime.bus.local import ConsumerView
from runtime.domain.ids import DEFAULT_TENANT
from tests.architecture.source import ROOT

MONITORING = ROOT / "packaging" / "monitoring"
ALERTS = MONITORING / "alerts.yml"
NAME = re.compile(r"\b(?:agentflow|process)_[a-z0-9_]+")


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no 'promtool' on PATH; Debian's package prometheus has one")
    return found


CONSUMER = ConsumerView(
    tenant=DEFAULT_TENANT,
    name="billing",
    wanted="orders.>",
    cursor=7,
    lag=3,
    oldest_us=0,
    standing="behind",
    members=1,
    dead=1,
)


def a_page() -> str:
    """Every metric with a value."""
    metrics = Metrics("1.2.3")
    metrics.egress.read = lambda: {("http", "site", "cleared"): 2}
    metrics.threats.read = lambda: {"rate": 1}
    metrics.uplink.read = lambda: figures(UplinkView(host="broker:4222", state="waiting", waiting=3))
    metrics.bus.read = lambda: [CONSUMER]
    metrics.human.read = lambda: {("default", "w"): (2, 90_000.0)}
    metrics.requests.labels("GET", "/v1/runs", "200").inc()
    metrics.request_seconds.labels("GET", "/v1/runs").observe(0.1)
    metrics.events.labels("run.started").inc()
    metrics.runs_started.labels("w").inc()
    metrics.runs_finished.labels("w", "succeeded").inc()
    metrics.run_seconds.labels("w").observe(1)
    metrics.steps.labels("w", "succeeded").inc()
    metrics.step_seconds.labels("w").observe(1)
    metrics.tokens.labels("input").inc(3)
    metrics.triggers.read = lambda: {("w", "nightly", "schedule", "started"): 1}
    return metrics.page().decode()


def expressions() -> list[str]:
    rules = [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return [*rules, *(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])]


def test_rules_and_panels_ask_for_metrics_that_there_are() -> None:
    """A rule about a name that nobody exports never fires."""
    names = set(re.findall(r"^([a-z_]+)(?:\{| )", a_page(), re.MULTILINE))
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(asked) > 10
    assert set() == asked - names


def test_promtool_has_no_remark_on_the_page(promtool: str) -> None:
    """Exit code 3 is a lint."""
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=a_page(), capture_output=True, text=True, check=False
    )
    assert (0, "") == (checked.returncode, checked.stderr)


def test_promtool_takes_the_rules(promtool: str) -> None:
    """As it will at the site."""
    checked = subprocess.run([promtool, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert 0 == checked.returncode, checked.stderr + checked.stdout
    assert "13 rules found" in checked.stdout
