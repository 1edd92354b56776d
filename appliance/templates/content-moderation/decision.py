"""What the image analyser and the decision maker do in their states."""

from typing import Protocol

SEVERITY = {"toxicity": 0.75, "spam": 0.6, "personal_info": 0.5, "image": 0.8}
"""How bad a violation is when its check is sure of it; above 0.8 the machine bans."""
THREAT, LINKS, UNKNOWN = 0.95, 0.85, 0.5
"""A threat; an advertisement with more than two links; a check that did not answer."""
MOST = {"toxicity": 0.3, "spam": 0.5, "image": 0.5}
"""From here on a check has not passed; the tree says the same."""


class Context(Protocol):
    """What the host lends to an agent."""

    def tool(self, name: str, arguments: dict) -> dict:
        """Have the host run a permitted tool."""


def analyze_image(task: dict, ctx: Context) -> dict:
    """Ask both tools about a picture."""
    asked = {"image": task["image"]}
    found = {**ctx.tool("nsfw_detector", asked), **ctx.tool("violence_detector", asked)}
    return {**found, "image_score": max(found.values())}


def collect_results(task: dict, ctx: Context) -> dict:
    """Whether all checks passed, and how severe the worst violation is; one that did not answer has not passed."""
    severities = {
        "toxicity": toxicity(task["toxicity"]),
        "spam": spam(task["spam"]),
        "personal_info": personal_info(task["pii"]),
        "image": image(task["image"]) if task["has_image"] else 0.0,
    }
    violations = [name for name, severity in severities.items() if severity]
    worst = round(max(severities.values()), 4)
    return {"all_checks_passed": not violations, "violation_severity": worst, "violations": violations}


def toxicity(found: dict | None) -> float:
    """A threat weighs more than any insult."""
    if found is None:
        return UNKNOWN
    score = found["toxicity_score"]
    return 0.0 if score < MOST["toxicity"] else THREAT if found["is_threat"] else SEVERITY["toxicity"] * score


def spam(found: dict | None) -> float:
    """An advertisement with many links comes from a machine."""
    if found is None:
        return UNKNOWN
    score = found["spam_confidence"]
    return 0.0 if score < MOST["spam"] else LINKS if found["links"] > 2 else SEVERITY["spam"] * score


def personal_info(found: dict | None) -> float:
    """Whose data it is, a person has to say."""
    return SEVERITY["personal_info"] if found is None or found["pii_found"] else 0.0


def image(found: dict | None) -> float:
    """The share of the picture; one that cannot be read is for a person."""
    if found is None:
        return UNKNOWN
    return 0.0 if found["image_score"] < MOST["image"] else SEVERITY["image"] * found["image_score"]
