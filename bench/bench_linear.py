"""Online logistic regression on sparse examples: one pass, one update an example, one thread.

Each library has the examples in its own format before the clock starts: CSR arrays, a cache file. They are
in random order already; the shuffled runs draw one more. Vowpal Wabbit runs plain AdaGrad (--adaptive). It
reads its cache in a second thread: the target is for one core, and what a second core gives it stands beside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import data
import numpy as np
import pytest
from race import OURS, NewRace

from fastadagrad.data.loading import load
from fastadagrad.data.tables import CSR, Table
from fastadagrad.linear import LinearModel

SHUFFLED, VW, SKLEARN, SKLEARN_SHUFFLED = (
    f"{OURS}, shuffled",
    "Vowpal Wabbit",
    "scikit-learn SGD",
    "scikit-learn SGD, shuffled",
)
TEXTS = {"a9a": data.a9a, "generated like a9a": data.like_a9a}
GOOD = {"a9a": 0.37, "generated like a9a": 0.40}  # log loss that shows that one pass has learned
VW_OPTIONS = "--loss_function logistic --adaptive --learning_rate 0.1 --quiet --cache_file "


@contextmanager
def at_most_cores(count: int) -> Iterator[None]:
    """Keep this thread, and those that it starts, on so many cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def log_loss(scores: Any, labels: Any) -> float:
    return float(np.mean(np.logaddexp(0, -labels * scores)))


def shuffled(table: Table) -> Table:
    """The examples in random order."""
    X = table.features
    assert isinstance(X, CSR)
    order = np.random.default_rng(5).permutation(len(table.labels))
    rows = [np.s_[X.indptr[i] : X.indptr[i + 1]] for i in order]
    values, columns = (np.concatenate([array[row] for row in rows]) for array in (X.data, X.indices))
    indptr = np.append(0, np.cumsum(np.diff(X.indptr)[order]))
    return Table(CSR(values, columns, indptr, X.shape), table.labels[order], table.name)


def make_ours(table: Table, good: float, shuffle: bool) -> Callable[[], Any]:
    model = LinearModel("logistic", max_epochs=1, scale="none", shuffle=shuffle)
    assert log_loss(model.fit(table).decision_function(table), table.labels) < good
    return lambda: model.fit(table)


def make_sklearn(linear_model: Any, table: Table, good: float, shuffle: bool) -> Callable[[], Any]:
    import scipy.sparse

    X, y = table.features, table.labels
    assert isinstance(X, CSR)
    matrix = scipy.sparse.csr_matrix((X.data.astype(np.float64), X.indices, X.indptr.astype(np.int32)), X.shape)
    model = linear_model.SGDClassifier(loss="log_loss", max_iter=1, tol=None, shuffle=shuffle, random_state=1)
    assert log_loss(model.fit(matrix, y).decision_function(matrix), y) < 2 * good  # its rate is not tuned
    return lambda: model.fit(matrix, y)


def make_vw(
    vw: Any, table: Table, good: float, folder: Path, options: str = ""
) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """How it learns from a cache, and how it gets ready to."""
    import pylibvw

    X, text, cache = table.features, folder / "examples.vw", folder / "examples.cache"
    assert isinstance(X, CSR)
    with text.open("w") as file:
        for n, label in enumerate(table.labels.tolist()):
            row = np.s_[X.indptr[n] : X.indptr[n + 1]]
            pairs = zip(X.indices[row].tolist(), X.data[row].tolist(), strict=True)
            file.write(f"{label:g} | {' '.join(f'{j}:{x:g}' for j, x in pairs)}\n")
    first = vw.Workspace(f"{options}{VW_OPTIONS}{cache} --data {text}")
    assert first.get_weighted_examples() == len(table.labels)
    assert first.get_sum_loss() / len(table.labels) < good
    used = [first]

    def prepare() -> tuple[Any]:
        used.pop().finish()
        used.append(vw.Workspace(f"{options}{VW_OPTIONS}{cache}"))
        return (used[-1],)

    return pylibvw.vw.run_parser, prepare


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("name", TEXTS)
def test_online_logistic(new_race: NewRace, quick: bool, tmp_path: Path, name: str, cores: int) -> None:
    where = "one core" if cores == 1 else "two cores"
    race, good = new_race(f"logistic, {name}, one pass, {where}"), GOOD[name]
    source = tmp_path / "text.svm"
    try:
        source.write_bytes(TEXTS[name](data.ROWS))
    except data.Absent as absence:
        race.give_up(str(absence))
    table = shuffled(load(source))
    race.amount, race.unit = (table.features.data.size + len(table.labels)) / 1e6, "Mfeatures"
    race.add(OURS, make_ours(table, good, shuffle=False))
    race.add(SHUFFLED, make_ours(table, good, shuffle=True))
    vw = race.optional("vowpalwabbit", VW)
    if vw:
        learn, prepare = make_vw(vw, table, good, tmp_path)
        race.add(VW, learn, prepare=prepare)
    linear_model = race.optional("scikit-learn", SKLEARN, SKLEARN_SHUFFLED, module="sklearn.linear_model")
    if linear_model:
        race.add(SKLEARN, make_sklearn(linear_model, table, good, shuffle=False))
        race.add(SKLEARN_SHUFFLED, make_sklearn(linear_model, table, good, shuffle=True))
    with at_most_cores(cores):
        race.run(rounds=3 if quick else 31)
    race.at_least(6 if cores == 1 else None, VW)
    if cores == 1:
        race.at_least(None, SKLEARN)
        race.at_least(2, SKLEARN_SHUFFLED, ours=SHUFFLED)
