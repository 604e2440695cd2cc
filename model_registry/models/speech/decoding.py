"""Whisper's decoding for a batch whose items have a language each: by a beam, once more with care where it failed.

Everything is deterministic, so that the same sound gives the same lines every night: where Radford et al. (2022,
section 4.5) draw at higher temperatures, failed items go through a beam search that may not repeat itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_registry.model import Line
from model_registry.models.speech.listening import Heard
from model_registry.models.speech.tokens import (
    COMPRESSION_LIMIT,
    LOGPROB_LIMIT,
    Decoded,
    Passage,
    compression,
    room_for,
    said,
)
from model_registry.models.speech.words import token_starts_ms, words

DOUBTFUL_LANGUAGE = 0.5  # below, the runner-up is tried too; the reference code's threshold is the same
# A beam of five costs a fifth more than none in short clips and twice as much in long ones; greedy decoding loses words
# in both.
BEAM: dict[str, Any] = {"beam_size": 5}
CAREFUL: dict[str, Any] = {"beam_size": 5, "no_repeat_ngram_size": 3, "repetition_penalty": 1.1}


class Decoder:
    """Encoder output to lines, by a CTranslate2 engine and a Whisper tokenizer."""

    def __init__(self, engine: Any, tokenizer: Any) -> None:
        from faster_whisper.tokenizer import Tokenizer

        self.engine = engine
        self.tokenizer = tokenizer
        self.words_in = {False: Tokenizer(tokenizer, True, "transcribe", "en")}
        self.words_in[True] = Tokenizer(tokenizer, True, "transcribe", "zh")  # a language that knows no spaces
        self.text = self.words_in[False]

    def decode(self, encoded: Any, durations_ms: Sequence[int]) -> list[Heard]:
        """Return what is said in each item of an encoder's output."""
        found = self._decoded(encoded, max(durations_ms, default=0))
        first = self.text.timestamp_begin
        cut = [said(each, first, ms) for each, ms in zip(found, durations_ms, strict=True)]
        starts = self._starts_ms(encoded, found, [parts for parts, _ in cut], durations_ms)
        return [
            Heard(tuple(self._lines(each, parts, starts[place])), resume_ms)
            for place, (each, (parts, resume_ms)) in enumerate(zip(found, cut, strict=True))
        ]

    # Decoding

    def _decoded(self, encoded: Any, longest_ms: int) -> list[Decoded]:
        """Decode; then what failed, and what may be in another language, once more."""
        ranked = [self._ranked(each) for each in self.engine.detect_language(encoded)]
        found = self._generate(encoded, [each[0][0] for each in ranked], longest_ms, BEAM)
        for options, tried in ((CAREFUL, self._failed(found)), (BEAM, _doubtful(ranked))):
            if tried:
                other = self._generate(rows(encoded, list(tried)), list(tried.values()), longest_ms, options)
                for place, each in zip(tried, other, strict=True):
                    found[place] = self._better(found[place], each)
        return found

    def _ranked(self, probabilities: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
        return [(token.strip("<|>"), probability) for token, probability in probabilities[:2]]

    def _failed(self, found: Sequence[Decoded]) -> dict[int, str]:
        return {place: each.language for place, each in enumerate(found) if self._fails(each)}

    def _fails(self, decoded: Decoded) -> bool:
        unsure = decoded.logprob < LOGPROB_LIMIT and not decoded.silent
        return unsure or compression(self.text.decode(list(decoded.tokens))) > COMPRESSION_LIMIT

    def _better(self, one: Decoded, other: Decoded) -> Decoded:
        return max(one, other, key=lambda each: (not self._fails(each), each.logprob))

    def _generate(
        self, encoded: Any, languages: Sequence[str], longest_ms: int, options: dict[str, Any]
    ) -> list[Decoded]:
        prompts = [self._prompt(language) for language in languages]
        room = room_for(longest_ms)
        results = self.engine.generate(
            encoded, prompts, max_length=room, return_scores=True, return_no_speech_prob=True, **options
        )
        return [_decoded(result, language) for result, language in zip(results, languages, strict=True)]

    def _prompt(self, language: str) -> list[int]:
        return [self.text.sot, self.tokenizer.token_to_id(f"<|{language}|>"), self.text.transcribe]

    # Words

    def _starts_ms(
        self, encoded: Any, found: Sequence[Decoded], parts: Sequence[Sequence[Passage]], durations_ms: Sequence[int]
    ) -> list[list[int]]:
        """When each token of text begins. The engine aligns a batch in one language, so each has its turn."""
        starts: list[list[int]] = [[] for _ in found]
        for language in {each.language for each, cut in zip(found, parts, strict=True) if cut}:
            places = [place for place, each in enumerate(found) if each.language == language and parts[place]]
            tokens = [[token for passage in parts[place] for token in passage.tokens] for place in places]
            frames = [max(1, durations_ms[place] // 10) for place in places]
            chosen = encoded if len(places) == len(found) else rows(encoded, places)
            aligned = self.engine.align(chosen, self._prompt(language), tokens, frames)
            for place, each, text in zip(places, aligned, tokens, strict=True):
                starts[place] = token_starts_ms(each.alignments, len(text))
        return starts

    def _lines(self, decoded: Decoded, parts: Sequence[Passage], starts_ms: Sequence[int]) -> list[Line]:
        spaceless = decoded.language in {"zh", "ja", "th", "lo", "my", "yue"}
        lines, first = [], 0
        for part in parts:
            pieces, tokens = self.words_in[spaceless].split_to_word_tokens(list(part.tokens))
            counts = [len(each) for each in tokens]
            text, placed = words(pieces, counts, starts_ms[first:], part.start_ms, part.end_ms)
            first += len(part.tokens)
            if text:
                lines.append(Line(text, decoded.confidence, decoded.language, part.start_ms, part.end_ms, placed))
        return lines


def _doubtful(ranked: Sequence[Sequence[tuple[str, float]]]) -> dict[int, str]:
    """The runner-up where the first language is unsure."""
    unsure = {place: each for place, each in enumerate(ranked) if len(each) > 1 and each[0][1] < DOUBTFUL_LANGUAGE}
    return {place: each[1][0] for place, each in unsure.items()}


def _decoded(result: Any, language: str) -> Decoded:
    tokens = tuple(result.sequences_ids[0])
    logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)  # the score leaves the end of the text out
    return Decoded(tokens, logprob, result.no_speech_prob, language)


def rows(encoded: Any, places: Sequence[int]) -> Any:
    """Take some items out of an encoder's output; the engine moves them back to where it runs."""
    import ctranslate2

    on_cpu = encoded.to_device(ctranslate2.Device.cpu) if encoded.device != "cpu" else encoded
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.asarray(on_cpu)[list(places)]))
