"""The support desk's own Python: put an answer together, and open a ticket for it.

`workflow.yaml` names `compose` and `create_ticket`: each gets a step's input and a context and returns the answer.
This file runs in a worker process of its own and needs the standard library alone.
It must never tell a customer what neither the customer nor an article has said.
"""

import re
from collections.abc import Sequence
from itertools import dropwhile
from typing import Protocol, TypedDict

MAX_QUOTES = 4
MAX_OPENING_WORDS = 24
MAX_SUBJECT_CHARS = 80

OPENINGS = {
    "cards": "Thank you for your question about your card.",
    "cash_and_atm": "Thank you for your question about cash and cash machines.",
    "payments": "Thank you for your question about a payment.",
    "transfers": "Thank you for your question about a transfer.",
    "direct_debits_and_standing_orders": "Thank you for your question about your regular payments.",
    "adding_money": "Thank you for your question about adding money.",
    "account_and_identity": "Thank you for your question about your account.",
    "security_and_fraud": "Thank you for telling us; please act on this straight away.",
    "fees_and_rates": "Thank you for your question about fees and rates.",
    "complaints": "We are sorry that you are unhappy with us.",
}
ANY_OPENING = "Thank you for your question."

# What may stand before the customer's own words in an opening: a courtesy, and words that state no fact.
COURTESIES = "sorry thanks hello happy glad help understand"
FILLERS = "about am asking dear for hear how i i'm letting know of telling that to us we with writing"
QUESTION_VERBS = "am are can could did do does had has have is may might must shall should was were will would"
AS_WE_SAY_IT = {"i": "you", "me": "you", "my": "your", "mine": "yours", "i'm": "you're", "i've": "you've"}


class Hit(TypedDict):
    """An article that the search found."""

    article: str
    title: str
    source: str
    score: float
    quotes: list[str]


class Citation(TypedDict):
    """Where an answer comes from."""

    article: str
    title: str
    source: str


class ComposeTask(TypedDict):
    """A classified question, a first line that a model wrote, and the articles found."""

    message: str
    category: str
    opening: str
    hits: list[Hit]


class Answer(TypedDict):
    """What the customer reads, and what it rests on."""

    answer: str
    citations: list[Citation]
    opening_used: bool


class NothingToQuote(ValueError):
    """No article has a sentence to answer with. The host shows the text of an error that has a `code`."""

    code = "support.nothing_to_quote"


class Context(Protocol):
    """What the host lends to an action."""

    run_id: str
    step: str
    idempotency_key: str

    def tool(self, name: str, arguments: dict[str, object]) -> dict[str, object]:
        """Have the host run a permitted tool; repeating a step has the tool's effect once."""


def compose(task: ComposeTask, ctx: Context) -> Answer:
    """Answer with the best article's own sentences; raises NothingToQuote when there are none."""
    quotable = [hit for hit in task["hits"] if hit["quotes"]]
    if not quotable:
        raise NothingToQuote(f"step {ctx.step!r} expected an article with quotes, found none; ask a person to answer")
    best = max(quotable, key=lambda hit: hit["score"])
    quotes = list(dict.fromkeys(best["quotes"]))[:MAX_QUOTES]
    opening = task["opening"].strip()
    is_fit = is_one_short_sentence(opening) and is_grounded(opening, [task["message"], best["title"], *quotes])
    first_line = opening if is_fit else OPENINGS.get(task["category"], ANY_OPENING)
    source = f"Source: {best['title']} ({best['article']})"
    return {
        "answer": "\n\n".join([first_line, " ".join(quotes), source]),
        "citations": [{"article": best["article"], "title": best["title"], "source": best["source"]}],
        "opening_used": is_fit,
    }


def create_ticket(task: dict[str, str], ctx: Context) -> dict[str, object]:
    """Open a ticket with the `message`, `category` and `answer` of a task, for whoever follows it up."""
    subject = shorten(task["message"], MAX_SUBJECT_CHARS)
    summary = f"Customer: {task['message']}\n\nAnswered: {task['answer']}\n\nRun: {ctx.run_id}"
    arguments: dict[str, object] = {"subject": subject, "category": task["category"], "summary": summary}
    return {"ticket": ctx.tool("create_ticket", arguments), "subject": subject}


def is_one_short_sentence(text: str) -> bool:
    """Whether `text` is a single statement on one line, of letters, digits and plain punctuation."""
    return bool(re.fullmatch(r"[\w ,;'’£$€%.+-]*\w[.!]", text)) and (
        len(words(text)) <= MAX_OPENING_WORDS and not re.search(r"[.!] ", text)
    )


def is_grounded(opening: str, sources: Sequence[str]) -> bool:
    """Whether `opening` is a courtesy, followed at most by words that stand in one source, side by side.

    "My PIN is blocked" may become "I am sorry to hear that your PIN is blocked."
    "Has my refund arrived?" may not become "Thank you, your refund has arrived."
    """
    said, courtesies = words(opening.lower().replace("thank you", "thanks")), set(words(COURTESIES))
    echo = list(dropwhile(courtesies.union(words(FILLERS)).__contains__, said))
    is_polite = not courtesies.isdisjoint(said[: len(said) - len(echo)])
    return is_polite and any(is_stated(echo, words(source)) for source in sources)


def is_stated(echo: list[str], source: list[str]) -> bool:
    """Whether `source` says `echo`, with "my" for "your", other than as the rest of a question ("has my …")."""
    heard = [AS_WE_SAY_IT.get(word, word) for word in source]
    starts = [at for at in range(len(heard)) if heard[at : at + len(echo)] == echo]
    return any(at == 0 or heard[at - 1] not in QUESTION_VERBS.split() for at in starts)


def words(text: str) -> list[str]:
    """The words, numbers and currency signs of `text`, in lower case."""
    return re.findall(r"[\w']+|[£$€%+-]", text.lower().replace("’", "'"))


def shorten(text: str, limit: int) -> str:
    """`text` on one line, cut between words to at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "…"
