"""What heads are fitted on: embeddings of lines, or their character n-grams, and how each is regressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_registry.models.text.ngrams import BUCKETS, runs
from pipelines.text.semantics.labelled import LabelledLine
from pipelines.text.transcripts import units
from pipelines.text.words.characters import simplified

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
STRENGTH = 5.0  # inverse of the regularisation: from 3 to 30 the average precision of held-out groups is level
NGRAM_STRENGTH = 3.0
FEWEST = 3  # texts that a run of characters has to stand in
AT_ONCE = 4096
Regress = Callable[[Any, Bools], tuple[Floats, float]]


@dataclass(frozen=True)
class Features:
    """N lines by D: as they are fitted on (whole), and as a night reads them (in units), with whose unit each is."""

    whole_ND: Any  # an array, or a sparse matrix
    unit_UD: Any
    owner_U: NDArray[np.int64]  # in order
    fit: Regress

    def regressed(self, true_N: Bools, own_N: NDArray[np.intp] | None = None) -> tuple[Floats, float]:
        """Return weights and bias of a regression on some lines, or on all."""
        own_N = np.arange(len(true_N)) if own_N is None else own_N
        return self.fit(self.whole_ND[own_N], true_N[own_N])

    def logits(self, of_N: NDArray[np.intp], weight_D: Floats, bias: float) -> Floats:
        """The highest logit of each line's units, for some lines in order."""
        first_N = np.searchsorted(self.owner_U, np.arange(self.whole_ND.shape[0] + 1))
        kept_U = np.concatenate([np.arange(first_N[line], first_N[line + 1]) for line in of_N])
        starts = np.cumsum([0, *(first_N[line + 1] - first_N[line] for line in of_N)])[:-1]
        return np.maximum.reduceat(np.asarray(self.unit_UD[kept_U] @ weight_D).ravel() + bias, starts)


def of_embeddings(embeddings_ND: NDArray[np.float32]) -> Features:
    """Lines that were embedded; each is read as it is."""
    return Features(embeddings_ND, embeddings_ND, np.arange(len(embeddings_ND)), regress_dense)


def of_ngrams(lines: Sequence[LabelledLine]) -> Features:
    """Texts by their n-grams, whole and in units."""
    plain = [simplified(line.text) for line in lines]
    cut = [list(dict.fromkeys(units(text))) or [text] for text in plain]
    owner_U = np.repeat(np.arange(len(plain)), [len(own) for own in cut])
    return Features(matrix(plain), matrix([unit for own in cut for unit in own]), owner_U, regress_ngrams)


def matrix(texts: Sequence[str]) -> Any:
    """Return a sparse float32 [N, BUCKETS]: each text's runs, over the root of their number."""
    from scipy.sparse import csr_matrix, vstack  # type: ignore[import-untyped]  # it has no stubs

    pieces = []
    for start in range(0, len(texts), AT_ONCE):
        found = runs(texts[start : start + AT_ONCE])
        values_R = (1 / np.sqrt(np.maximum(found.count_N, 1)))[found.owner_R].astype(np.float32)
        pieces.append(csr_matrix((values_R, (found.owner_R, found.bucket_R)), (len(found.count_N), BUCKETS)))
    return vstack(pieces, format="csr")


def regress_dense(features_ND: NDArray[np.float32], true_N: Bools) -> tuple[Floats, float]:
    """One core: matrices this small are multiplied faster than threads are woken."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        head = LogisticRegression(C=STRENGTH, solver="newton-cholesky").fit(features_ND.astype(np.float64), true_N)
    return head.coef_[0], float(head.intercept_[0])


def regress_ngrams(features_ND: Any, true_N: Bools) -> tuple[Floats, float]:
    """Weighted by how rare a run is (inverse document frequency) while it is fitted; the weights returned need none."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with_it_D = np.bincount(features_ND.indices, minlength=BUCKETS)
    rare_D = np.log((1 + features_ND.shape[0]) / (1 + with_it_D)) * (with_it_D >= FEWEST)
    scaled_ND = features_ND.multiply(rare_D[None, :]).tocsr().astype(np.float32)
    with threadpool_limits(1):
        head = LogisticRegression(C=NGRAM_STRENGTH, max_iter=80, tol=1e-3).fit(scaled_ND, true_N)
    return head.coef_[0] * rare_D, float(head.intercept_[0])
