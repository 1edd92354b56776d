"""The optimizer's tools: plain counting, no model."""

import re
from collections import Counter

from texts import content_words, flesch, prose, sentences, words

import agentflow

MOST_KEYWORDS = 5
MOST_TITLE = 60
MOST_DESCRIPTION = 155
"""Characters that search engines show."""


@agentflow.tool(idempotent=True)
def keyword_analysis(article: str) -> dict:
    """Name the words that a post is about, with their share of all its words."""
    text = " ".join(prose(article))
    total = len(words(text)) or 1
    counted = Counter(word for word in content_words(text) if word.isalpha() and len(word) > 2)
    first = sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:MOST_KEYWORDS]
    return {"keywords": [{"word": word, "density": round(count / total, 3)} for word, count in first if count > 1]}


@agentflow.tool(idempotent=True)
def meta_generator(topic: str, article: str, keywords: list[str]) -> dict:
    """Make a post's title, address and description."""
    text = " ".join(prose(article))
    lines = re.findall(r"“([^”]+)”", text) or sentences(text)
    about, often = set(content_words(topic)), set(keywords)
    said = {line: set(content_words(line)) for line in lines}
    best = max(lines, key=lambda line: (len(said[line] & about), len(said[line] & often), -len(line)))
    return {
        "title": shortened(f"{topic[:1].upper()}{topic[1:]}", MOST_TITLE),
        "slug": "-".join(words(topic))[:MOST_TITLE].strip("-"),
        "meta_description": shortened(best, MOST_DESCRIPTION),
    }


@agentflow.tool(idempotent=True)
def readability_check(article: str) -> dict:
    """Say how easy a post is to read."""
    text = " ".join(prose(article))
    count, whole = len(words(text)), len(sentences(text)) or 1
    return {"flesch": flesch(text), "words": count, "words_per_sentence": round(count / whole, 1)}


def shortened(text: str, limit: int) -> str:
    """A text cut between words."""
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + "…"
