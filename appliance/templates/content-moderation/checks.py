"""The checks of a post's text, beside the classifiers: what is a threat, what looks like an advertisement, whose data.

`workflow.yaml` names the functions; they need the standard library alone. Each answers what a condition of the tree
reads. What is found is counted and named by its kind; no address or number is repeated.
"""

import re

THREATS = re.compile(
    r"\b(kill|hurt|shoot|stab|burn|beat|rape) (you|your|her|him|them)\b|\bkill yourself\b|\bdie in a fire\b"
    r"|\byou (will|should|deserve to) (die|be (shot|beaten))|\bbreak your (legs|neck|arms)\b",
    re.IGNORECASE,
)
LINK = re.compile(r"https?://|\bwww\.|\b[a-z0-9-]+\.(?:com|net|biz|info|shop)\b", re.IGNORECASE)
SHOUTING = re.compile(r"(?:\b[A-Z]{3,}\b\W*){3,}|[!$€]{3,}")

EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]*\w")
PHONE = re.compile(r"(?<![\w.])(?:\+|00)\d[\d ()/.-]{7,}\d|\b0\d{2,4}[ /-]\d[\d ]{5,}\d")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")

CLEAR = 0.9
"""How sure a rule is."""


def toxicity(task: dict, ctx: object) -> dict:
    """`toxicity_score`: what the classifier says, or more where the text threatens somebody."""
    said = share_of("toxic", task["classified"])
    is_threat = bool(THREATS.search(task["text"]))
    return {"toxicity_score": max(said, CLEAR) if is_threat else said, "is_threat": is_threat}


def spam(task: dict, ctx: object) -> dict:
    """`spam_confidence`: what the classifier says, or more where the text shouts or is full of links."""
    said = share_of("spam", task["classified"])
    links = len(LINK.findall(task["text"]))
    is_loud = bool(SHOUTING.search(task["text"]))
    return {"spam_confidence": max(said, CLEAR) if links > 2 or (links and is_loud) else said, "links": links}


def share_of(label: str, classified: dict) -> float:
    """How likely one of two labels is."""
    confidence = classified["confidence"]
    return round(confidence if classified["label"] == label else 1 - confidence, 4)


def pii(task: dict, ctx: object) -> dict:
    """`pii_found`, and which kinds of people's data the text gives away."""
    text = task["text"]
    numbers = IBAN.sub(" ", text)  # parts of one look like a card's or a telephone's
    kinds = {
        "email": bool(EMAIL.search(text)),
        "phone": bool(PHONE.search(CARD.sub(" ", numbers))),
        "iban": any(is_iban(found) for found in IBAN.findall(text)),
        "card": any(is_card(found) for found in CARD.findall(numbers)),
    }
    return {"pii_found": any(kinds.values()), "kinds": [kind for kind, is_found in kinds.items() if is_found]}


def is_iban(found: str) -> bool:
    """ISO 13616: moved by four and read as a number, with A = 10, it leaves 1 when it is divided by 97."""
    plain = found.replace(" ", "")
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def is_card(found: str) -> bool:
    """Luhn's sum: every second digit from the right counts twice."""
    digits = [int(each) for each in found if each.isdigit()][::-1]
    doubled = [digit if at % 2 == 0 else sum(divmod(digit * 2, 10)) for at, digit in enumerate(digits)]
    return sum(doubled) % 10 == 0
