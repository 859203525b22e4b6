"""Validation of models that are trained on streams, and evaluation a block at a time."""

from functools import partial

import numpy as np
import pytest
from streamed import LABELS, K, N, Told, X, equal, from_stdin, text_of

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel, stream_preparation
from fastadagrad.linear.evaluation import MEANS, OF_SUMS, Evaluation
from fastadagrad.linear.monitors import MONITORS
from fastadagrad.linear.sampling import Aside

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


@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_a_fraction_is_set_aside_and_not_trained_on(text_file, parquet_file, kind):
    def stream(threads):
        if kind == "text":
            return fa.Stream(text_file("logistic"), threads=threads)
        return fa.Stream(parquet_file("logistic"), target="y", threads=threads)

    told = Told()
    model = LinearModel(max_epochs=3, validation=0.25, learning_rate=0.3).fit(stream(0), progress=told)
    equal(LinearModel(max_epochs=3, learning_rate=0.3).fit(stream(3), valid=0.25), model)
    aside = Aside(0.25, 0)
    for block in stream(0):
        aside.add(block, aside.numbers_of(block))
    held_out = aside.table()
    assert {row.examples for row in told.rows if row.epoch > 1} == {N - len(held_out.labels)}
    kept = model.history[model.best_epoch - 1]
    assert kept["valid_loss"] == min(entry["valid_loss"] for entry in model.history)
    assert model.evaluate(held_out)["loss"] == pytest.approx(kept["valid_loss"], rel=1e-4)
    assert [row.valid_loss for row in told.rows][-1] == pytest.approx(model.history[-1]["valid_loss"], rel=1e-12)
    assert all(row.valid_loss is not None for row in told.rows)
    without = fa.Stream(text_file("logistic")) if kind == "text" else fa.Stream(parquet_file("logistic"), target="y")
    assert LinearModel(max_epochs=3, learning_rate=0.3).fit(without).history != model.history


def test_rows_that_were_set_aside_are_in_no_scale(tmp_path):
    lines = text_of(LABELS["logistic"]).splitlines(keepends=True)
    (tmp_path / "whole.svm").write_text("".join(lines))
    aside = Aside(0.3, 0)
    numbers = []
    for block in fa.Stream(tmp_path / "whole.svm"):
        numbers += (aside.numbers_of(block) >= 0.3).tolist()
    (tmp_path / "left.svm").write_text("".join(line for line, left in zip(lines, numbers, strict=True) if left))
    options = {"max_epochs": 2, "shuffle": False, "scale": "maxabs", "learning_rate": 0.1, "average": False}
    left = LinearModel(**options).fit(fa.Stream(tmp_path / "left.svm"), valid=load(tmp_path / "left.svm", dtype=None))
    model = LinearModel(**options).fit(fa.Stream(tmp_path / "whole.svm"), valid=0.3)
    np.testing.assert_array_equal(model._state.scaling.size, left._state.scaling.size)
    np.testing.assert_array_equal(model._state.trained.weights.p, left._state.trained.weights.p)


def test_training_that_goes_on_sets_the_same_rows_aside(text_file):
    stream = fa.Stream(text_file("logistic"))
    options = {"warm_start": True, "validation": 0.25, "learning_rate": 0.1, "shuffle": False, "average": False}
    model = LinearModel(max_epochs=1, **options).fit(stream)
    once = model.history[-1]
    model._parameters["max_epochs"] = 2
    equal(model.fit(stream), LinearModel(max_epochs=3, **options).fit(stream))
    assert once["valid_loss"] > model.history[-1]["valid_loss"]


def test_a_fraction_of_what_is_read_once_only_is_refused(monkeypatch):
    from_stdin(monkeypatch, text_of(LABELS["logistic"]))
    with pytest.raises(ValueError, match=r"validation=0\.2 of standard input, which can be read once only"):
        LinearModel(validation=0.2).fit(fa.Stream("-"))


@pytest.mark.parametrize("loss", ["squared", "poisson", "softmax"])
def test_rows_of_progress_have_the_loss_in_the_unit_of_the_labels(text_file, loss):
    told = Told()
    LinearModel(loss, max_epochs=2, dtype="float64").fit(fa.Stream(text_file(loss)), valid=0.2, progress=told)
    last = [row.valid_loss for row in told.rows if row.examples == told.rows[-1].examples]
    assert last == pytest.approx([entry["valid_loss"] for entry in told], rel=1e-9)


def test_bits_depend_on_no_thread_where_memory_does_not_hold_the_fraction(text_file, monkeypatch):
    monkeypatch.setattr(stream_preparation, "Aside", partial(Aside, values=900))
    options = {"max_epochs": 2, "validation": 0.5, "learning_rate": 0.1}
    models = [LinearModel(**options).fit(fa.Stream(text_file("logistic"), threads=n)) for n in (0, 1, 4)]
    for model in models[1:]:
        equal(model, models[0])
        assert model.history == models[0].history
