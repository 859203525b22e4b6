"""Validation of models that are trained on streams, and evaluation a block at a time."""

import numpy as np
import pytest
from streamed import LABELS, N, X

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel
from fastadagrad.linear.evaluation import MEANS, OF_SUMS, Evaluation
from fastadagrad.linear.monitors import MONITORS

pytestmark = pytest.mark.usefixtures("small_blocks")


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
