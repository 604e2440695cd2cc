"""The reading stage: texts to what their words and their meaning come to (tiers 1 and 2)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from model_registry.labels import first_level
from model_registry.model import InputKind, ModelRef, predict_all
from pipelines.places import place
from pipelines.predict import loaded
from pipelines.stage import Stage, Work
from pipelines.text.neighbours import is_joined, over_the_join
from pipelines.text.readings import readings_table, write_piece
from pipelines.text.tiers import Bands, needs_meaning
from pipelines.text.words.characters import simplified
from pipelines.text.words.lexicon import Lexicons
from pipelines.text.words.matcher import Matcher, TextMatcher

TEXTS = pa.schema([("text", pa.string())])
Scores = list[dict[str, float]]
Read = Callable[[Sequence[str]], pa.Table]  # texts to READINGS
# Semantic scores of labels that no word suspects are kept from here on: a sixth of all texts has one, and every doubt
# starts higher. A lexicon of tomorrow that suspects such a text finds it denied.
LEAST_KEPT = 0.1


@dataclass(frozen=True, kw_only=True)
class ReadTexts(Stage):
    """Read every text, write a piece a table, and hand on how many were read."""

    lexicons: Lexicons
    folder: str
    tower: ModelRef | None = None
    heads: tuple[ModelRef, ...] = ()
    bands: Bands
    device: str = "cpu"
    threads: int = 1
    reads: tuple[str, ...] = ("text",)
    writes: tuple[str, ...] = ("read",)
    drops: tuple[str, ...] = ("text",)

    def open(self) -> Work:
        """Compile the lexicons and load the models on this worker."""
        read = self.reader(Matcher(self.lexicons))

        def work(table: pa.Table) -> Iterator[pa.Table]:
            texts = table["text"].to_pylist()
            write_piece(place(self.folder), read(texts))
            yield pa.table({"read": [len(texts)]})

        return work

    def reader(self, matcher: TextMatcher) -> Read:
        """Return what turns texts into READINGS and writes nothing, for as many threads as the matcher bears."""
        meaning = self._meaning()
        gc.freeze()  # what is loaded stays: walking it at each collection halved the speed of some batches

        def read(texts: Sequence[str]) -> pa.Table:
            hits = [over_the_join(text, found) for text, found in zip(texts, matcher.match(texts), strict=True)]
            asked = [i for i, found in enumerate(hits) if needs_meaning(found) and not is_joined(texts[i])]
            scores: list[Mapping[str, float] | None] = [None] * len(texts)
            if meaning and asked:
                for i, of in zip(asked, meaning([texts[i] for i in asked]), strict=True):
                    suspected = {hit.label for hit in hits[i]}
                    scores[i] = self._kept(of, suspected | {first_level(label) for label in suspected})
            return readings_table(texts, hits, scores)

        return read

    def _kept(self, scores: Mapping[str, float], suspected: set[str]) -> Mapping[str, float]:
        """What is stored of a text's scores: all of a suspicion that its meaning does not deny, else what tells."""
        return {label: score for label, score in scores.items() if label in suspected or score >= LEAST_KEPT}

    def _meaning(self) -> Callable[[Sequence[str]], Scores] | None:
        if self.tower is None or not self.heads:
            return None
        tower = loaded(self.tower, self.device, self.threads)
        heads = [(ref.spec, loaded(ref, self.device, self.threads)) for ref in self.heads]

        def score(texts: Sequence[str]) -> Scores:
            plain = [simplified(text) for text in texts]
            embeddings = list(predict_all(tower, plain))
            found: Scores = [{} for _ in texts]
            for spec, head in heads:
                labels = spec.labels
                scores_NL = predict_all(head, plain if spec.reads is InputKind.TEXT else embeddings)
                lows_L = np.array([self.bands[label].low for label in labels], np.float32)
                for row, column in np.argwhere(scores_NL >= lows_L):
                    found[row][labels[column]] = float(scores_NL[row, column])
            return found

        return score
