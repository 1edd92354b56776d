"""The agents of a deployment: what each does in its state, by its tools.

`workflow.yaml` names the functions; an error with a `code` sends the machine to the state's `on_error`.
They need the standard library alone, and decide nothing by chance: equal requests are deployed alike.
"""

import hashlib
from typing import Protocol

SAFEST = {"strategy": "canary", "rollout_percentage": 10, "monitoring_duration": "30m"}
"""What is done where the model has not chosen, or has chosen what the service cannot bear."""
MOST_PERCENT = {"blue_green": 100, "rolling": 50, "canary": 25}
HIGH_RISK = 0.5
MOST_ERRORS = 0.01
MOST_P95_MS = 1_000


class Context(Protocol):
    """What the host lends to an agent."""

    step: str

    def tool(self, name: str, arguments: dict) -> dict:
        """Have the host run a permitted tool."""


class NotDeployed(ValueError):
    """Why a state of the machine failed; the message is shown, the code read by people and dashboards."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = f"deployment.{code}"


def settle_strategy(task: dict, ctx: Context) -> dict:
    """Keep the strategy that the model chose where diff, health and traffic allow it; else take the safest."""
    service = task["service"]
    diff = ctx.tool("analyze_git_diff", {"git_diff": task["git_diff"]})
    health = ctx.tool("check_service_health", {"service": service})
    traffic = ctx.tool("estimate_traffic", {"service": service, "current_load": task["current_load"]})
    chosen = task["chosen"] or SAFEST
    strategy, why = chosen["strategy"], against(chosen["strategy"], diff["risk"], health, traffic["level"])
    settled = dict(SAFEST if why and strategy != "canary" else chosen)
    most = 10 if why else MOST_PERCENT[settled["strategy"]]
    asked = chosen["rollout_percentage"]
    settled["rollout_percentage"] = 100 if settled["strategy"] == "blue_green" else min(asked, most)
    return {
        **settled,
        "chosen": chosen["strategy"] if task["chosen"] else None,
        "because": why or ["nothing speaks against it" if task["chosen"] else "no usable choice, so the safest"],
        "image": f"{service}:{hashlib.sha256(task['git_diff'].encode()).hexdigest()[:12]}",
        "risk": diff["risk"],
        "traffic": traffic["level"],
        "running": health["running"],
    }


def against(strategy: str, risk: float, health: dict, traffic: str) -> list[str]:
    """What speaks against a strategy."""
    reasons = []
    if risk >= HIGH_RISK:
        reasons.append(f"the change is risky ({risk:.2f})")
    if health["health"] != "healthy":
        reasons.append(f"the service is {health['health']}")
    if strategy == "blue_green" and not health["spare_capacity"]:
        reasons.append("there is no room for a second one")
    if strategy == "rolling" and traffic == "peak":
        reasons.append("traffic is at its peak")
    return reasons


def validate_build(task: dict, ctx: Context) -> dict:
    """Build the image, and refuse one that has known weaknesses or dependencies without a licence."""
    asked = {"service": task["service"], "image": task["image"]}
    found = {name: ctx.tool(name, asked) for name in ("docker_build", "security_scan", "dependency_check")}
    weak = found["security_scan"]["critical_vulnerabilities"]
    if weak:
        raise NotDeployed("vulnerable", f"{task['image']} has {weak} critical weakness(es); mend them and ask again")
    unlicensed = found["dependency_check"]["unlicensed_dependencies"]
    if unlicensed:
        raise NotDeployed("unlicensed", f"{task['image']} uses {', '.join(unlicensed)} without a known licence")
    return {"image": task["image"], "image_mb": found["docker_build"]["image_mb"], "steps": said(*found.values())}


def deploy(task: dict, ctx: Context) -> dict:
    """Have the new image run in staging, or in production with the first share of the traffic."""
    where = "staging" if state(ctx) == "deploy_to_staging" else task["environment"]
    share = 100 if where == "staging" else task["settled"]["rollout_percentage"]
    place = {"service": task["service"], "environment": where}
    made = ctx.tool("terraform_apply", place)
    if not made["has_room"]:
        raise NotDeployed("no_room", f"{where} has no room for {task['service']}; free some and ask again")
    slot = "green" if task["settled"]["strategy"] == "blue_green" else task["settled"]["strategy"]
    applied = ctx.tool("kubectl_apply", {**place, "image": task["settled"]["image"], "slot": slot})
    shared = ctx.tool("update_load_balancer", {**place, "share_percent": share})
    return {"environment": where, "share_percent": share, "steps": said(made, applied, shared)}


def complete(task: dict, ctx: Context) -> dict:
    """Send what is left of the traffic to the new image, in as many steps as the strategy takes."""
    settled = task["settled"]
    share, step = settled["rollout_percentage"], settled["rollout_percentage"]
    shares = range(share + step, 100, step) if settled["strategy"] == "rolling" else []
    place = {"service": task["service"], "environment": task["environment"]}
    steps = [ctx.tool("update_load_balancer", {**place, "share_percent": each}) for each in [*shares, 100]]
    return {"outcome": f"{settled['image']} serves all of {task['environment']}", "steps": said(*steps)}


def test_staging(task: dict, ctx: Context) -> dict:
    """Run the integration tests against staging."""
    ran = ctx.tool("run_integration_tests", {"service": task["service"], "image": task["image"]})
    if ran["failed_tests"]:
        failed = ", ".join(ran["failed_tests"])
        raise NotDeployed("tests_failed", f"{task['image']} fails in staging: {failed}")
    return {"steps": said(ran)}


def monitor(task: dict, ctx: Context) -> dict:
    """Watch the new image; raise when it is not well. In the states `rollback_…`, undo the deployment instead."""
    service, where = task["service"], task["environment"]
    if state(ctx).startswith("rollback_"):
        where = "staging" if state(ctx) == "rollback_staging" else where
        undone = ctx.tool("rollback_deployment", {"service": service, "environment": where})
        why = task["error"]["message"]
        return {"outcome": f"{where} is back on {undone['back_to']}, because {why}", "steps": said(undone)}
    watched = ctx.tool("check_metrics", {"service": service, "monitoring_duration": task["monitoring_duration"]})
    asked = ctx.tool("run_health_checks", {"service": service, "environment": where})
    rate, p95 = watched["error_rate"], watched["p95_ms"]
    wrong = [f"{rate:.1%} of requests fail"] if rate > MOST_ERRORS else []
    wrong += [f"p95 is {p95} ms"] if p95 > MOST_P95_MS else []
    wrong += [f"{check} does not answer" for check in asked["failed_checks"]]
    if wrong:
        raise NotDeployed("unhealthy", f"{service} in {where}: {', '.join(wrong)}")
    return {"error_rate": rate, "p95_ms": p95, "steps": said(watched, asked)}


def notify(task: dict, ctx: Context) -> dict:
    """Tell whoever is on call what failed; nothing is left in production that was not there before."""
    what = f"{task['service']} was not deployed: {task['error']['message']}"
    notice = ctx.tool("notify_on_call", {"title": what[:80], "message": what})
    return {"outcome": what, "notice": notice["id"]}


def state(ctx: Context) -> str:
    """The machine's state, which is the step's name without the number of the visit."""
    return ctx.step.partition("~")[0]


def said(*answers: dict) -> list[str]:
    """What the tools would have done."""
    return [answer["would"] for answer in answers]
