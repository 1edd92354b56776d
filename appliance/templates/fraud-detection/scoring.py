"""How risky a payment is: a logistic score over its features, and beside the customer's last hours a combined one.

`workflow.yaml` names `score`; the state of the machine says which of the two is asked for. A site with a scoring
service uses that instead. The weights below are judgement, not learnt: change them with your own cases at hand.

    risk     = 1 / (1 + e^-z),  z = BASE + Σ weight × feature
    combined = 1 / (1 + e^-z'), z' = z + CALM + HOUR × payments in the last hour + DAY × payments in the last day
"""

import math
from typing import Protocol

BASE = -3.5
WEIGHTS = {
    "amount": 1.1,  # ln(amount / the customer's usual one), not below 0
    "new_country": 1.4,  # none of the customer's known payments was made there
    "card_not_present": 0.9,
    "night": 0.6,  # 0 to 5 o'clock UTC
    "new_merchant": 0.7,
}
CALM, HOUR, DAY = -1.0, 0.8, 0.15


class Context(Protocol):
    """What the host lends to an agent."""

    step: str


class NoHistory(ValueError):
    """Nothing is known of a customer. The text of an error that has a `code` is shown."""

    code = "fraud.no_history"


def score(task: dict, ctx: Context) -> dict:
    """`risk_score` in the state `score_transaction`, `combined_score` in `additional_checks`, with what counted."""
    velocity = task["history"]["calculate_velocity"]["rows"][0]
    if not velocity["known"]:
        raise NoHistory(
            f"user {task['transaction']['user_id']!r} has no payment in 30 days; a person looks at the first"
        )
    found = features(task["transaction"], velocity, task["history"]["query_transactions"]["rows"])
    z = BASE + sum(WEIGHTS[name] * value for name, value in found.items())
    said = {"risk_score": logistic(z), "why": [name for name, value in found.items() if value]}
    if ctx.step.startswith("score_transaction"):
        return said
    hour, day = velocity["last_hour"], velocity["last_day"]
    busy = [f"{hour} payments in the last hour, {day} in the last day"] if day else []
    return {**said, "combined_score": logistic(z + CALM + HOUR * hour + DAY * day), "why": said["why"] + busy}


def features(payment: dict, velocity: dict, known: list) -> dict[str, float]:
    """The features by name; 0 where one says nothing against the payment."""
    hour = int(payment["at"][11:13])
    return {
        "amount": max(0.0, math.log(payment["amount"] / velocity["usual_amount"])),
        "new_country": float(payment["country"] not in {each["country"] for each in known}),
        "card_not_present": float(not payment["card_present"]),
        "night": float(hour < 6),
        "new_merchant": float(payment["merchant"] not in {each["merchant"] for each in known}),
    }


def logistic(z: float) -> float:
    """From 0 to 1, to four places."""
    return round(1 / (1 + math.exp(-z)), 4)
