"""The gates that a post must pass: is it our own, and does it sound like us?

Each answers with a score from 0 to 1 and with feedback, which the writer reads when the work comes back.
"""

import re
from pathlib import Path

from texts import flesch, prose, sentences, words

GRAM = 5
"""As many words in a row as a source has are copied."""
BANNED = {"amazing", "game-changer", "guru", "incredible", "mind-blowing", "revolutionary", "ultimate", "unbelievable"}
MOST_WORDS = 30
"""In one sentence."""
LEAST_FLESCH = 50.0


def plagiarism_check(article: str, ctx: object) -> dict:
    """The share of runs of five words, outside of quotations, that no source has."""
    own = [re.sub(r"“[^”]*”", " . ", part) for part in prose(article)]
    said = dict.fromkeys(gram for part in own for each in sentences(part) for gram in grams(each))
    theirs = source_grams()
    copied = [gram for gram in said if gram in theirs]
    score = 1.0 if not said else round(1 - len(copied) / len(said), 3)
    passage = " ".join(copied[0]) if copied else ""
    return {"score": score, "feedback": f" Say it in words of your own, not: {passage}" if passage else ""}


def grams(text: str) -> list[tuple[str, ...]]:
    """Every five words in a row."""
    found = words(text)
    return [tuple(found[at : at + GRAM]) for at in range(len(found) - GRAM + 1)]


def source_grams() -> set[tuple[str, ...]]:
    """Those of all sources."""
    files = Path(__file__).with_name("sources").glob("*.md")
    return {gram for file in sorted(files) for each in sentences(file.read_text("utf-8")) for gram in grams(each)}


def brand_voice_check(article: str, ctx: object) -> dict:
    """How many of our rules the post keeps: no loud words, no exclamation marks, short sentences, plain English."""
    text = " ".join(prose(article))
    said = words(article)  # its title, too
    loud = sorted(BANNED.intersection(said))
    longest = max((len(words(each)) for each in sentences(text)), default=0)
    ease = flesch(text)
    broken = {
        f"do not say {', '.join(loud)}": bool(loud),
        "use no exclamation marks": "!" in article,
        f"a sentence has at most {MOST_WORDS} words, not {longest}": longest > MOST_WORDS,
        f"write more simply: reading ease is {ease}, and at least {LEAST_FLESCH} is meant": ease < LEAST_FLESCH,
    }
    told = [rule for rule, is_broken in broken.items() if is_broken]
    return {"score": round(1 - len(told) / len(broken), 3), "feedback": f" Please {'; '.join(told)}." if told else ""}
