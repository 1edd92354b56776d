"""The tools of a deployment, as a dry run: each says what it would do, and does nothing.

What they find out stands in `services.json`: the state of six services that nobody runs. A site puts its own tools
here (`type: http`, `kubernetes`, `code`, or functions like these) under the same names, and `agents.py` stays.
"""

import json
import re
from pathlib import Path
from typing import TypedDict

import agentflow

SERVICES = "services.json"
RISKY = {"migration": 0.5, "schema": 0.4, "auth": 0.4, "payment": 0.3, "config": 0.2, "lock": 0.1}
"""What a changed path may have in its name → how much risk that adds."""
RISK_PER_LINE = 0.002
BUSY_RATIO = 0.7
"""From this share of its capacity on, a service is at its peak."""


class Plan(TypedDict):
    """What a tool would do."""

    would: str


class UnknownService(ValueError):
    """The message of an error that has a `code` is shown."""

    code = "deployment.unknown_service"


def _service(name: str) -> dict:
    services = json.loads(Path(__file__).with_name(SERVICES).read_text(encoding="utf-8"))
    if name not in services:
        raise UnknownService(f"there is no service {name!r} in {SERVICES}; there are: {', '.join(sorted(services))}")
    return services[name]


# --- deployment_planner


@agentflow.tool(idempotent=True)
def analyze_git_diff(git_diff: str) -> dict:
    """Count what a diff changes, and say from 0 to 1 how risky that is."""
    lines = git_diff.splitlines()
    files = sorted({line.split()[-1].removeprefix("b/") for line in lines if line.startswith(("+++ ", "diff --git "))})
    changed = sum(bool(re.match(r"[+-](?![+-]{2} )", line)) for line in lines)
    why = [word for word in RISKY if any(word in file.lower() for file in files)]
    risk = min(1.0, RISK_PER_LINE * changed + sum(RISKY[word] for word in why))
    return {"files": len(files), "lines": changed, "risk": round(risk, 3), "why": why}


@agentflow.tool(idempotent=True, files=["services.json"])
def check_service_health(service: str) -> dict:
    """Say what runs now, how it is, and whether a second one of its size has room beside it."""
    found = _service(service)
    return {key: found[key] for key in ("running", "health", "spare_capacity")}


@agentflow.tool(idempotent=True, files=["services.json"])
def estimate_traffic(service: str, current_load: float) -> dict:
    """Say whether a load, in requests per second, is low, normal or peak for a service."""
    capacity = _service(service)["capacity_rps"]
    ratio = current_load / capacity
    level = "peak" if ratio >= BUSY_RATIO else "normal" if ratio >= BUSY_RATIO / 2 else "low"
    return {"level": level, "load_ratio": round(ratio, 3), "capacity_rps": capacity}


# --- build_validator


@agentflow.tool(idempotent=True, files=["services.json"])
def docker_build(service: str, image: str) -> dict:
    """Build the image of a service."""
    size = _service(service)["build"]["image_mb"]
    return {"would": f"docker build --tag {image} {service}/", "image_mb": size}


@agentflow.tool(idempotent=True, files=["services.json"])
def security_scan(service: str, image: str) -> dict:
    """Count the known weaknesses in an image."""
    found = _service(service)["build"]["critical_vulnerabilities"]
    return {"would": f"scan {image}", "critical_vulnerabilities": found}


@agentflow.tool(idempotent=True, files=["services.json"])
def dependency_check(service: str, image: str) -> dict:
    """Name the dependencies of an image that have no known licence."""
    found = _service(service)["build"]["unlicensed_dependencies"]
    return {"would": f"list the dependencies of {image}", "unlicensed_dependencies": found}


# --- deployer


@agentflow.tool(files=["services.json"])
def terraform_apply(service: str, environment: str) -> dict:
    """Make what a service needs in an environment: room, databases, queues."""
    has_room = environment != "staging" or _service(service)["staging"]["has_room"]
    return {"would": f"terraform -chdir={service}/{environment} apply", "has_room": has_room}


@agentflow.tool
def kubectl_apply(service: str, environment: str, image: str, slot: str) -> Plan:
    """Have an image run in an environment, beside what runs there."""
    return {"would": f"kubectl --context {environment} set image deployment/{service}-{slot} {service}={image}"}


@agentflow.tool
def update_load_balancer(service: str, environment: str, share_percent: int) -> Plan:
    """Send a share of the traffic to the new image, and the rest to the one before."""
    return {"would": f"send {share_percent} % of {service} in {environment} to the new image"}


# --- monitor, and what tests staging


@agentflow.tool(files=["services.json"])
def run_integration_tests(service: str, image: str) -> dict:
    """Test an image in staging, and name the tests that fail."""
    return {"would": f"test {image} in staging", "failed_tests": _service(service)["staging"]["failed_tests"]}


@agentflow.tool(files=["services.json"])
def check_metrics(service: str, monitoring_duration: str) -> dict:
    """Read how many requests failed, and how long they took, over a while; of a site, from its Prometheus."""
    after = _service(service)["after"]
    would = f"watch {service} for {monitoring_duration}"
    return {"would": would, "error_rate": after["error_rate"], "p95_ms": after["p95_ms"]}


@agentflow.tool(files=["services.json"])
def run_health_checks(service: str, environment: str) -> dict:
    """Ask a service whether it is well, and name what it does not answer."""
    return {"would": f"ask {service} in {environment}", "failed_checks": _service(service)["after"]["failed_checks"]}


@agentflow.tool(files=["services.json"])
def rollback_deployment(service: str, environment: str) -> dict:
    """Have what ran before run again, with all of the traffic."""
    back_to = _service(service)["running"]
    return {"would": f"kubectl --context {environment} rollout undo deployment/{service}", "back_to": back_to}
