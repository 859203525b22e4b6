"""Online logistic regression on a million features: one pass, one update an example, one thread.

Columns come as words do in texts (Zipf's law), the frequent ones anywhere among the others. Each library has
the examples in its own format before the clock starts, as in bench_linear.py; Vowpal Wabbit has a weight for
every column (-b 20), and reads its cache in a second thread. Where we have an l1 penalty, so has Vowpal Wabbit;
scikit-learn keeps its default penalty, and no accumulator.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_linear import SKLEARN, VW, at_most_cores, log_loss, make_sklearn, make_vw
from bench_rows import zipf
from race import OURS, NewRace

from fastadagrad.data.tables import CSR, Table
from fastadagrad.linear import LinearModel

GOOD = 0.65  # log loss that shows that one pass has learned
DRAWS = 145  # columns an example, of which about 100 differ
SIGNAL = 10  # spread of the true scores
TARGET = 50  # Mfeatures a second


def make_examples(examples: int, features: int) -> Table:
    """Rows of norm 1 with labels that a linear model explains in part."""
    rng = np.random.default_rng(99)
    columns = np.sort(zipf(rng, features, examples * DRAWS).reshape(examples, DRAWS), axis=1)
    first = np.diff(columns, axis=1, prepend=-1) > 0
    indices, counts = columns[first].astype(np.int32), np.count_nonzero(first, axis=1)
    indptr = np.append(0, np.cumsum(counts))
    values = rng.lognormal(0, 0.5, indices.size)
    values /= np.sqrt(np.repeat(np.add.reduceat(values**2, indptr[:-1]), counts))
    scores = SIGNAL * np.add.reduceat(values * rng.standard_normal(features)[indices], indptr[:-1])
    labels = np.where(rng.random(examples) < 1 / (1 + np.exp(-scores)), 1.0, -1.0)
    return Table(CSR(values.astype(np.float32), indices, indptr, (examples, features)), labels)


@pytest.mark.parametrize(("l1", "cores"), [(0.0, 1), (0.0, 2), (1e-6, 1)])
def test_million_features(new_race: NewRace, quick: bool, tmp_path: Path, l1: float, cores: int) -> None:
    examples, features = (2_000, 10_000) if quick else (100_000, 1_000_000)
    penalised, where = f", l1 {l1:g}" if l1 else "", "one core" if cores == 1 else "two cores"
    race = new_race(f"logistic, {features:,} features{penalised}, one pass, {where}")
    table = make_examples(examples, features)
    race.amount, race.unit = (table.features.data.size + examples) / 1e6, "Mfeatures"
    model = LinearModel("logistic", max_epochs=1, scale="none", shuffle=False, l1=l1)
    assert log_loss(model.fit(table).decision_function(table), table.labels) < GOOD
    race.add(OURS, lambda: model.fit(table))
    vw = race.optional("vowpalwabbit", VW)
    if vw:
        penalty = f"--l1 {l1:g} " if l1 else ""
        learn, prepare = make_vw(vw, table, GOOD, tmp_path, f"-b 20 {penalty}")
        race.add(VW, learn, prepare=prepare)
    linear_model = race.optional("scikit-learn", SKLEARN, module="sklearn.linear_model")
    if linear_model:
        race.add(SKLEARN, make_sklearn(linear_model, table, GOOD, shuffle=False))
    with at_most_cores(cores):
        race.run(rounds=3 if quick else 11)
    if cores == 1:
        race.within(race.amount / TARGET)
    race.at_least(None, VW)
    race.at_least(None, SKLEARN)
