"""Peers on the same lines: word lists that people install, and TF-IDF with logistic regression fitted in-domain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.text.semantics.labelled import LabelledLine

OTHER_PYTHON = "NIGHTJAR_PEERS_PYTHON"  # an interpreter with better-profanity and alt-profanity-check
NODE_MODULES = "NIGHTJAR_PEERS_NODE"  # a folder node_modules with obscenity and @2toad/profanity
MOST_FEATURES = 200_000
PYTHON = {
    "better-profanity": "from better_profanity import profanity as p\n"
    "flag = lambda ls: [p.contains_profanity(x) for x in ls]",
    "alt-profanity-check": "from profanity_check import predict\nflag = lambda ls: [bool(x) for x in predict(ls)]",
}
NODE = {
    "obscenity": "const o = require('obscenity'); const m = new o.RegExpMatcher({...o.englishDataset.build(), "
    "...o.englishRecommendedTransformers}); const flag = ls => ls.map(x => m.hasMatch(x));",
    "@2toad/profanity": "const {profanity} = require('@2toad/profanity'); "
    "const flag = ls => ls.map(x => profanity.exists(x));",
}


def word_lists(lines: Sequence[str]) -> tuple[dict[str, list[bool]], dict[str, str]]:
    """What each word list flags of English lines; and why some are left out."""
    found, absent = dict[str, list[bool]](), dict[str, str]()
    for name, source in PYTHON.items():
        script = f"import json, sys\n{source}\nprint(json.dumps(flag(json.load(sys.stdin))))"
        _ask(name, [os.environ.get(OTHER_PYTHON) or sys.executable, "-c", script], lines, found, absent)
    for name, source in NODE.items():
        script = f"{source} console.log(JSON.stringify(flag(JSON.parse(require('fs').readFileSync(0)))))"
        _ask(name, [shutil.which("node") or "node", "-e", script], lines, found, absent)
    return found, absent


def _ask(
    name: str, command: list[str], lines: Sequence[str], found: dict[str, list[bool]], absent: dict[str, str]
) -> None:
    environment = {**os.environ, "NODE_PATH": os.environ.get(NODE_MODULES, ""), "PYTHONPATH": ""}
    try:
        told = subprocess.run(
            command, input=json.dumps(list(lines)), capture_output=True, text=True, check=True, env=environment
        )
        found[name] = json.loads(told.stdout)
    except (OSError, subprocess.CalledProcessError, json.JSONDecodeError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        absent[name] = reason.strip().splitlines()[-1] if reason.strip() else "it said nothing"


def regression(
    fitted: Sequence[LabelledLine], measured: Sequence[str], harmless: Mapping[str, Sequence[str]], label: str
) -> tuple[list[bool], list[bool]]:
    """What TF-IDF with logistic regression, fitted on a set's other families, flags of its lines and harmless ones."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=MOST_FEATURES)
    model: Any = make_pipeline(vectors, LogisticRegression(C=10, max_iter=300))
    model.fit([line.text for line in fitted], [label in line.labels for line in fitted])
    others = [line for lines in harmless.values() for line in lines]
    flagged: list[bool] = model.predict([*measured, *others]).tolist()
    return flagged[: len(measured)], flagged[len(measured) :]
