"""The editor's and the optimizer's own Python: keep what can be shown, put the post together, find its keywords.

`workflow.yaml` and `editing_workflow.yaml` name the functions; they need the standard library alone.
A post must never state what neither its topic nor a source says: facts stand in it as quotations.
"""

from typing import Protocol

from texts import content_words, sentences

LEAST_SCORE = 0.4
"""Of the best result; below, the sources are about something else."""
LEAST_OF_BEST = 0.7
"""A result with less of the best one's score is about something else, too."""
LEAST_GROUNDED = 0.7
OUR_WORDS = frozenset({"help", "source"})
"""Of the sentences that every post may have."""
MOST_QUOTES = 3
"""Of one source."""


class Context(Protocol):
    """What the host lends to an agent."""

    def tool(self, name: str, arguments: dict) -> dict:
        """Have the host run a permitted tool."""


class NothingToWrite(ValueError):
    """The sources say nothing about the topic. The text of an error that has a `code` is shown."""

    code = "content.no_sources"


def check_facts(task: dict, ctx: Context) -> dict:
    """Keep the draft's sentences that the topic or one source supports; raises NothingToWrite without sources."""
    best = max((each["score"] for each in task["results"]), default=0)
    if best < LEAST_SCORE:
        raise NothingToWrite(f"the sources say nothing about {task['topic']!r}; add one to sources/, or ask otherwise")
    sources = [each for each in task["results"] if each["score"] >= LEAST_OF_BEST * best]
    drafted = sentences(task["draft"])
    kept = [each for each in drafted if is_grounded(each, task["topic"], sources)]
    dropped = [each for each in drafted if each not in kept]
    return {"kept": list(dict.fromkeys(kept)), "dropped": dropped, "sources": sources}


def is_grounded(sentence: str, topic: str, sources: list) -> bool:
    """Whether most words of a whole sentence stand in the topic, or in one source and the topic together."""
    said = content_words(sentence)
    if not sentence.endswith((".", "?")) or not said:
        return False
    about = {*content_words(topic), *OUR_WORDS}
    known = [about | set(content_words(each["snippet"])) for each in sources]
    return max(sum(word in each for word in said) for each in known) >= LEAST_GROUNDED * len(said)


def compose(task: dict, ctx: Context) -> dict:
    """The post: what was kept of the draft, quotations under the titles of their sources, a last sentence."""
    topic, checked, closing = task["topic"], task["checked"], sentences(task["closing"] or "")
    sources = checked["sources"]
    parts = [f"# {topic[:1].upper()}{topic[1:]}"]
    parts.append(" ".join(checked["kept"]) or f"{topic[:1].upper()}{topic[1:]}: here is what helps.")
    for each in sources:
        parts.append(f"## {each['title']}")
        parts.append(" ".join(f"“{quote}”" for quote in sentences(each["snippet"])[:MOST_QUOTES]))
    last = [each for each in closing[:1] if is_grounded(each, topic, sources)]
    return {
        "article": "\n\n".join([*parts, *last]),
        "citations": [{"article": each["source"], "title": each["title"], "url": each["url"]} for each in sources],
        "dropped": [*checked["dropped"], *(each for each in closing if each not in last)],
    }


def optimize(task: dict, ctx: Context) -> dict:
    """What search engines read of a post: title, address, description, keywords; and how readable it is."""
    keywords = ctx.tool("keyword_analysis", {"article": task["article"]})["keywords"]
    meta = ctx.tool(
        "meta_generator",
        {"topic": task["topic"], "article": task["article"], "keywords": [each["word"] for each in keywords]},
    )
    readability = ctx.tool("readability_check", {"article": task["article"]})
    return {"answer": task["article"], **meta, "keywords": keywords, "readability": readability}
