"""Validation of models that are trained on streams, and evaluation a block at a time."""

import numpy as np
import pytest
from streamed import LABELS, K, N, X, from_stdin

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel
from fastadagrad.linear.evaluation import MEANS, OF_SUMS, Evaluation
from fastadagrad.linear.monitors import MONITORS

pytestmark = pytest.mark.usefixtures("small_blocks")
NAMES = tuple(f"x{j}" for j in range(K))


def test_validation_keeps_the_best_epoch(text_file):
    stream, valid = fa.Stream(text_file("logistic")), load(text_file("logistic"), dtype=None)
    model = LinearModel(max_epochs=4).fit(stream, valid=valid)
    losses = [entry["valid_loss"] for entry in model.history]
    assert model.best_epoch == 1 + int(np.argmin(losses))
    assert model.evaluate(valid)["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_every_monitor_can_be_added_up():
    assert {*MEANS, *OF_SUMS} == {*MONITORS, "loss"}


@pytest.mark.parametrize("loss", LABELS)
def test_an_evaluation_of_blocks_is_that_of_the_whole(loss):
    model = LinearModel(loss, max_epochs=2).fit(X, LABELS[loss])
    scores, labels = model.decision_function(X), LABELS[loss].copy()
    if model.classes_ is not None:
        labels[[5, 700]] = 9
    evaluation = Evaluation(model)
    for rows in np.array_split(np.arange(N), 5):
        evaluation.add(scores[rows], labels[rows])
    assert evaluation.result() == pytest.approx(model.evaluation_of(scores, labels), rel=1e-9)


def grown():
    """Rows whose features become larger, so that the scales of a stream that is read once change on the way."""
    rows = X * np.where(np.arange(len(X)) < 800, 1, 30)[:, None]
    return rows, rows @ np.arange(1.0, 1 + K) + 5


def test_validation_goes_by_the_scales_that_there_are_at_the_end(monkeypatch, buffer_of):
    buffer_of(1500)
    rows, labels = grown()
    lines = (",".join(map(repr, [*row, label])) for row, label in zip(rows.tolist(), labels.tolist(), strict=True))
    from_stdin(monkeypatch, ",".join([*NAMES, "y"]) + "\n" + "\n".join(lines))
    valid = Table(rows, labels, feature_names=NAMES)
    model = LinearModel("squared", dtype="float64").fit(fa.Stream("-", target="y"), valid=valid)
    assert model.history[0]["valid_loss"] == pytest.approx(model.evaluate(valid)["loss"], rel=1e-3)


def test_examples_for_validation_have_the_columns_of_the_stream(parquet_file):
    stream, names = fa.Stream(parquet_file("logistic"), target="y"), NAMES[::-1]
    with pytest.raises(ValueError, match="must have the features of the training, in their order: column 0 is 'x5'"):
        LinearModel().fit(stream, valid=Table(X, LABELS["logistic"], feature_names=names))
