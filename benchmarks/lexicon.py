"""The lexicon: 20,000 terms in Chinese and English, texts of about 100 characters in both, a few percent of them hits.

Time is that of the processor, one thread. The peers are given the squeezed texts and the literals that our own
database has, and find the same occurrences; they fold nothing and undo no disguise.
"""

from __future__ import annotations

import gc
import hashlib
import random
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ahocorasick
import daachorse

from benchmarks.registry import Result
from pipelines.text.words.characters import simplified
from pipelines.text.words.disguise import Batch
from pipelines.text.words.lexicon import Entry, Lexicon, Lexicons
from pipelines.text.words.matcher import Matcher
from pipelines.text.words.plain_matcher import PlainMatcher

TERMS, TEXTS, CHARACTERS = 20_000, 40_000, 100
RAW_TERMS, RAW_ALONE = 38_000, 600  # of a list as people have it, and how many of them are one Chinese character
WITH_A_TERM = 0.03  # of the texts
MOST_CHARACTERS = 40  # of a made term
COMPARED = 400  # texts for the plain reference, which is slow
FOR_RE = 200  # and for Python's re, which tries every term at every character
VOWELS = ["a", "e", "i", "o", "u", "ea", "ou", "ee"]
CONSONANTS = [*"bcdfghjklmnprstvw", "th", "st", "ck", "pl"]


def run(videos: Sequence[Path], repeat: int) -> Result:  # noqa: ARG001 - every benchmark is given the videos
    """Measure ours and the peers in turns."""
    terms, texts = corpus(random.Random(0))
    lexicons = Lexicons((_lexicon(terms),))
    began = time.process_time()
    matcher = Matcher(lexicons)
    compile_s = time.process_time() - began
    batches = [Batch.of(batch) for batch in matcher.batches(texts)]
    views = [matcher.views(batch) for batch in batches]
    squeezed = [text for view, *_ in views for text in view.text.split("\n")[1:-1]]
    ways = {"ours": lambda: matcher.match(texts), "folded": lambda: list(map(matcher.match_batch, batches))}
    ways |= _peers(list(matcher.plan.literals), squeezed)
    raw = Matcher(Lexicons((_lexicon(raw_list(random.Random(0))),)))
    ways["raw"] = lambda: raw.match(texts)
    gc.collect()
    gc.freeze()  # as a reading worker does once it is loaded
    rates = {
        name: [_rate(way, FOR_RE if name == "re" else TEXTS) for _ in range(repeat + 1)] for name, way in ways.items()
    }
    rates = {name: each[1:] for name, each in rates.items()}  # the first warms up
    middle = {name: sorted(each)[len(each) // 2] for name, each in rates.items()}
    found = matcher.match(texts)
    reference = PlainMatcher(lexicons).match(texts[:COMPARED])
    same = [ours == theirs for ours, theirs in zip(found[:COMPARED], reference, strict=True)]
    metrics: dict[str, Sequence[float]] = {
        "texts_a_second": rates["ours"],
        "folded_texts_a_second": rates["folded"],
        "raw_texts_a_second": rates["raw"],
        "raw_hits_a_text": [sum(map(len, raw.match(texts))) / len(texts)],
        "share_equal": [sum(same) / len(same)],
        "share_with_hits": [sum(map(bool, found)) / len(found)],
        "compile_s": [compile_s],
        **{f"folded_vs_{name}": [middle["folded"] / middle[name]] for name in ("daachorse", "pyahocorasick", "re")},
        **{f"vs_{name}": [middle["ours"] / middle[name]] for name in ("daachorse", "pyahocorasick", "re")},
    }
    setup = {
        "terms": TERMS,
        "literals": len(matcher.plan.literals),
        "pinyin": len(matcher.plan.pinyin),
        "raw_terms": RAW_TERMS,
        "raw_terms_of_one_character": RAW_ALONE,
        "texts": TEXTS,
        "characters": CHARACTERS,
    }
    return Result(metrics, setup, ["terms and texts are made from seeds", f"re was given {FOR_RE} texts and scaled"])


def corpus(dice: random.Random, texts: int = TEXTS) -> tuple[list[str], list[str]]:
    """Terms, and texts of clauses in Chinese and in English, into a few of which a term is put."""
    han = [chr(0x4E00 + dice.randrange(0x5000)) for _ in range(3000)]
    words = ["".join(_syllable(dice) for _ in range(dice.randint(1, 3))) for _ in range(8000)]
    chinese = {"".join(dice.choices(han, k=dice.randint(3, 6))) for _ in range(TERMS // 2)}
    english = {" ".join(dice.choices(words, k=dice.randint(2, 3))) for _ in range(TERMS // 2)}
    terms = sorted(chinese | english)
    return terms, [_text(dice, han, words, terms) for _ in range(texts)]


def raw_list(dice: random.Random) -> list[str]:
    """The same terms with as many again, some of them one character: a dozen hits a text."""
    terms, _ = corpus(dice, texts=0)
    first = random.Random(0)
    own = [chr(0x4E00 + first.randrange(0x5000)) for _ in range(3000)]  # the texts' characters, see `corpus`
    alone = [char for char in own if simplified(char) == char][:RAW_ALONE]
    more = {f"{one}{other}" for one, other in zip(terms, reversed(terms), strict=True)}
    short = sorted(term for term in more if len(term) <= MOST_CHARACTERS)
    return sorted({*terms, *alone, *short[: RAW_TERMS - len(terms) - len(alone)]})


def _syllable(dice: random.Random) -> str:
    closed = dice.random() < 0.5
    return "".join([dice.choice(CONSONANTS), dice.choice(VOWELS), dice.choice(CONSONANTS) if closed else ""])


def _text(dice: random.Random, han: Sequence[str], words: Sequence[str], terms: Sequence[str]) -> str:
    out = dice.choice(terms) + " " if dice.random() < WITH_A_TERM else ""
    while len(out) < CHARACTERS:
        if dice.random() < 0.5:
            out += "".join(dice.choices(han, k=dice.randint(4, 16))) + dice.choice("，。！ ")
        else:
            out += " ".join(dice.choices(words, k=dice.randint(2, 6))).capitalize() + dice.choice([", ", ". ", " "])
    return out[:CHARACTERS]


def _lexicon(terms: Sequence[str]) -> Lexicon:
    digest = hashlib.sha256("\n".join(terms).encode()).hexdigest()
    return Lexicon("made", "1.0.0", digest, (Entry("Fraud/Off-Platform Lure", 3, "any", 0.9, terms=tuple(terms)),))


def _peers(literals: Sequence[str], texts: Sequence[str]) -> dict[str, Callable[[], object]]:
    """Each finds all literals in the squeezed texts, one text at a time, as its users do."""
    charwise = daachorse.CharwiseDoubleArrayAhoCorasick(list(literals))
    automaton = ahocorasick.Automaton()
    for number, literal in enumerate(literals):
        automaton.add_word(literal, number)
    automaton.make_automaton()
    alternatives = re.compile("|".join(map(re.escape, sorted(literals, reverse=True))))
    return {
        "daachorse": lambda: [charwise.find_overlapping(text) for text in texts],
        "pyahocorasick": lambda: [list(automaton.iter(text)) for text in texts],
        "re": lambda: [alternatives.findall(text) for text in texts[:FOR_RE]],
    }


def _rate(way: Callable[[], object], texts: int) -> float:
    began = time.process_time()
    way()
    return texts / (time.process_time() - began)
