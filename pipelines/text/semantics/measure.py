"""How good heads are on lines they had not seen: a row a label, and a row for each language of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.text.semantics.calibrate import Bools, Floats, calibration_error
from pipelines.text.semantics.fit import HeldOut
from pipelines.text.semantics.labelled import LabelledLine, benign


@dataclass(frozen=True)
class Measured:
    """One label on some lines. A share of nothing is nan."""

    label: str
    language: str  # empty: all
    lines: int  # of the label
    average_precision: float
    precision: float  # of what stands; lines of the same first level count neither way
    recall: float  # share of the label's lines that stand
    lost: float  # share of them that are denied
    raised: float  # share of them that stand or come into doubt by their meaning alone
    in_doubt: float  # share of all lines that lie in the band
    false_alarms: float  # share of benign lines that stand
    false_doubts: float  # share of benign lines that stand or come into doubt by their meaning alone
    calibration_error: float


def measure(held: HeldOut, lines: Sequence[LabelledLine]) -> list[Measured]:
    """Return every label over all lines, then every label in each language."""
    languages = np.array([line.language for line in lines])
    parts = [("", np.ones(len(lines), bool)), *((each, languages == each) for each in sorted(set(languages)))]
    return [
        _measured(held, column, label, language, own_N)
        for language, own_N in parts
        for column, label in enumerate(held.labels)
    ]


@dataclass(frozen=True)
class InRegister:
    """One label in one register: what a head has shown there, on lines that it had not seen."""

    label: str
    register: str
    lines: int
    true: int
    average_precision: float
    precision: float  # of what stands by its meaning alone
    recall: float
    lost: float  # share of the true lines that are denied
    false_alarms: float  # share of the benign lines that stand


def by_register(held: HeldOut, lines: Sequence[LabelledLine]) -> list[InRegister]:
    """Return every label in every register that has lines of it, or benign lines alone."""
    registers_N = np.array([line.register for line in lines])
    rows = []
    for column, label in enumerate(held.labels):
        for register in np.unique(registers_N):
            own_N = registers_N == register
            one = _measured(held, column, label, "", own_N)
            if one.lines or benign(held.true_NL[own_N]).all():
                shares = (one.average_precision, one.precision, one.recall, one.lost, one.false_alarms)
                rows.append(InRegister(label, str(register), int(own_N.sum()), one.lines, *shares))
    return rows


def _measured(held: HeldOut, column: int, label: str, language: str, own_N: Bools) -> Measured:
    true_N, score_N = held.true_NL[own_N, column], held.score_NL[own_N, column]
    settled_N: NDArray[np.int8] = held.settled_NL[own_N, column]
    wrong_N = held.wrong_NL[own_N, column]
    raised_N = held.raised_NL[own_N, column]
    benign_N = benign(held.true_NL[own_N])
    return Measured(
        label=label,
        language=language,
        lines=int(true_N.sum()),
        average_precision=average_precision(score_N, true_N),
        precision=_share(true_N[(settled_N > 0) & (true_N | wrong_N)]),
        recall=_share(settled_N[true_N] > 0),
        lost=_share(settled_N[true_N] < 0),
        raised=_share(raised_N[true_N]),
        in_doubt=_share(settled_N == 0),
        false_alarms=_share(settled_N[benign_N] > 0),
        false_doubts=_share(raised_N[benign_N]),
        calibration_error=calibration_error(score_N, true_N),
    )


def average_precision(score_N: Floats, true_N: Bools) -> float:
    """Mean precision at the rank of each true line, ties counted against it; nan without a true line."""
    order = np.lexsort((true_N, -score_N))
    true = true_N[order]
    return _share(np.cumsum(true)[true] / (np.flatnonzero(true) + 1))


def _share(values: NDArray[np.generic]) -> float:
    return float(values.mean()) if len(values) else float("nan")
