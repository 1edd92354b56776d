"""Words, sentences and readability of a text in English."""

import re

STOP = frozenset(
    """
    a about above after all also an and any are as at be because been before being below between both but by can
    come could did do does down during each few for from further get go had has have he her here him his how i if in
    into is it its just like make many may me more most my no nor not now of off on once one only or other our out
    over own say says she should so some such than that the their them then there these they this those through to
    too under until up us use very was we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905  # words are easier to add to than quoted ones
)


def prose(markdown: str) -> list[str]:
    """The paragraphs of a post, without headings."""
    return [each.strip() for each in markdown.split("\n\n") if each.strip() and not each.startswith("#")]


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its mark; one that was cut off has none."""
    found = re.findall(r"(?:[^.!?]|\.(?=\d))+(?:[.!?]+[”\"')]*|$)", " ".join(text.split()))
    return [each.strip() for each in found if each.strip()]


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return re.findall(r"[a-z0-9]+(?:['’-][a-z0-9]+)*", text.lower())


def content_words(text: str) -> list[str]:
    """The words that carry meaning, without the ending of a plural."""
    return [re.sub(r"(?<=[a-z]{3})s$", "", word) for word in words(text) if word not in STOP]


def syllables(word: str) -> int:
    """About how many syllables a word has: groups of vowels, without a silent e."""
    groups = len(re.findall(r"[aeiouy]+", word))
    return max(1, groups - (word.endswith("e") and not word.endswith("le") and groups > 1))


def flesch(text: str) -> float:
    """Flesch's reading ease (1948): 206.835 − 1.015 words per sentence − 84.6 syllables per word; 60 to 70 is plain."""
    found, whole = words(text), sentences(text)
    if not found or not whole:
        return 0.0
    per_word = sum(syllables(word) for word in found) / len(found)
    return round(206.835 - 1.015 * len(found) / len(whole) - 84.6 * per_word, 1)
