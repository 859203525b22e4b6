"""What each loss needs besides its record: a loss that is missing anywhere fails here by name."""

import argparse
import inspect
import json
import re
import typing

import digest_linear
import numpy as np
import pytest
import scipy.sparse
from command_line import run
from linear_examples import labels_of_kind
from places import ROOT

from fastadagrad.cli import fit, warmup
from fastadagrad.kernels.linear import losses, shares
from fastadagrad.kernels.linear.losses import LOSSES, OPTIONS
from fastadagrad.linear import LinearModel, divided
from fastadagrad.linear.links import LINKS
from fastadagrad.linear.monitors import MONITORS
from fastadagrad.linear.plot import draw_epochs
from fastadagrad.linear.targets import OF_CLASSES, REAL

EVERY = pytest.mark.parametrize("loss", LOSSES)
X = np.random.default_rng(0).normal(size=(120, 3))
SCORE = X @ [1.0, -2.0, 0.5]


def labels_for(loss):
    return labels_of_kind(LOSSES[loss].labels, SCORE)


def trained(loss, **options):
    return LinearModel(loss, max_epochs=5, validation=0.25, **options).fit(X, labels_for(loss))


def test_names_are_typed():
    typed = typing.get_type_hints(LinearModel.__init__)["loss"]
    assert typing.get_args(typed) == ("auto", *LOSSES)


def test_names_are_options_of_the_command():
    parser = argparse.ArgumentParser()
    fit.add_arguments(parser)
    [action] = (action for action in parser._actions if "--loss" in action.option_strings)
    assert action.choices == ("auto", *LOSSES)


def test_names_are_told_of():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "guide.md").read_text(), re.MULTILINE)
    assert [name for name in rows if name in LOSSES] == [*LOSSES]
    for loss in LOSSES:
        assert loss in LinearModel.__doc__


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_losses(name, tmp_path, capsys):
    """Each is a keyword, an option of the command, and part of a file; and no other loss takes it."""
    loss, option = OPTIONS[name]
    other = (option.default + min(option.below, 2 * option.default)) / 2
    given = inspect.signature(LinearModel).parameters[name]
    assert (given.default, given.kind) == (option.default, given.KEYWORD_ONLY)
    model = trained(loss, learning_rate=0.1, **{name: other})
    assert not np.array_equal(model.coef_, trained(loss, learning_rate=0.1).coef_)
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    assert repr(loaded) == repr(model)
    assert f"{name}={other!r}" in repr(model)
    assert loaded.evaluate(X, labels_for(loss)) == model.evaluate(X, labels_for(loss))
    np.savez(tmp_path / "examples.npz", X=X, y=labels_for(loss))
    command = ["fit", tmp_path / "examples.npz", "--loss", loss, f"--{name}", other, "--epochs", "5", "--valid", "0.25"]
    status, out, _ = run(capsys, *command, "--learning-rate", "0.1", "--json")
    assert status == 0
    assert json.loads(out)["history"] == model.history
    between = f"between {option.above:g} and {option.below:g}, and neither"
    for bad in (option.above, *([option.below, option.below + 1] if option.below < np.inf else [])):
        with pytest.raises(ValueError, match=f"^{name} must be {between}, not {bad:g}"):
            LinearModel(loss, **{name: bad})
    with pytest.raises(TypeError, match=f"^{name} must be"):
        LinearModel(loss, **{name: "x"})
    for foreign in ("auto", *(each for each in LOSSES if each != loss)):
        with pytest.raises(ValueError, match=f"^{name} is an option of the {loss} loss, and loss is '{foreign}': use"):
            LinearModel(foreign, **{name: other})


def test_there_are_digests():
    assert {*digest_linear.LOSSES} == {*LOSSES}


def test_loops_are_compiled_ahead():
    ahead = [what for what, _ in warmup._linear()]
    for loss in LOSSES.values():
        assert any(("one output" if loss.slope else loss.name) in what for what in ahead)


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_loops_of_several_processes_are_compiled_ahead(layout, monkeypatch):
    made = []

    def make_shares(*variant, **options):
        made.append(shares.make_shares(*variant, **options))
        return made[-1]

    def compiled():
        return [[len(part.overloads) for part in parts] for parts in made]

    monkeypatch.setattr(divided, "make_shares", make_shares)
    [ahead] = [
        work for what, work in warmup._linear() if what == f"linear, {layout}, one output, minibatches, momentum"
    ]
    ahead()
    [before] = compiled()
    X = np.eye(4, dtype=np.float32) if layout == "dense" else scipy.sparse.csr_array(np.eye(4, dtype=np.float32))
    model = LinearModel(momentum=0.9, batch_size=2, scale="none", max_epochs=2)
    model.fit(X, [0, 1, 0, 1], comm=warmup._WithZeros())
    assert compiled() == [before, before]
    assert max(before) == 1


@EVERY
def test_record_names_what_there_is(loss):
    record = LOSSES[loss]
    assert record.link in LINKS
    assert {*record.monitors} <= {*MONITORS}
    assert record.labels in (*OF_CLASSES, *REAL)
    assert (record.slope is None) == (record.share is None) == (record.labels == losses.CLASSES)


@EVERY
def test_learns_and_tells(loss):
    model, y = trained(loss), labels_for(loss)
    record, found = LOSSES[loss], model.evaluate(X, y)
    assert [*found] == ["loss", *record.monitors]
    assert [*model.history[-1]] == ["epoch", "loss", *(f"valid_{name}" for name in found)]
    untrained = LinearModel(loss, max_epochs=1, learning_rate=0.0).fit(X, y).evaluate(X, y)
    assert found["loss"] < untrained["loss"]
    assert (model.classes_ is None) == (record.labels in REAL)
    assert model.predict(X).dtype.kind == (y.dtype.kind if model.classes_ is not None else "f")
    if LINKS[record.link].probabilities is None:
        with pytest.raises(ValueError, match=f"{loss} loss gives no probabilities: train with logistic or softmax"):
            model.predict_proba(X)
    else:
        np.testing.assert_array_equal(model.classes_[model.predict_proba(X).argmax(axis=1)], model.predict(X))


@EVERY
def test_a_file_has_the_same_model(loss, tmp_path):
    model, y = trained(loss), labels_for(loss)
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    assert (loaded.loss, repr(loaded)) == (loss, repr(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.evaluate(X, y) == model.evaluate(X, y)


@EVERY
def test_the_axis_of_a_figure_names_it(loss):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    draw_epochs(axes, trained(loss))
    unit = LOSSES[loss].unit
    assert axes.get_ylabel() == (f"mean {loss} loss ({unit})" if unit else f"mean {loss} loss")


@EVERY
def test_commands(loss, tmp_path, capsys):
    y, model = labels_for(loss), tmp_path / "model"
    np.savez(tmp_path / "examples.npz", X=X, y=y)
    command = ["fit", tmp_path / "examples.npz", "--loss", loss, "--epochs", "5", "--valid", "0.25", "--model", model]
    status, out, _ = run(capsys, *command)
    assert status == 0
    assert f"{loss} loss" in out
    titles = out.splitlines()[1].split()
    assert titles[-len(LOSSES[loss].monitors) :] == [*LOSSES[loss].monitors]
    status, out, _ = run(capsys, "predict", model, tmp_path / "examples.npz", "--json")
    assert status == 0
    told, expected = json.loads(out), trained(loss)
    assert told["predictions"] == expected.predict(X).tolist()
    assert told["evaluation"] == expected.evaluate(X, y)


@pytest.mark.parametrize("loss", [loss.name for loss in LOSSES.values() if loss.labels in REAL])
def test_the_unit_of_labels(loss):
    """A loss of what labels are trained on, and that of the labels themselves."""
    record, spread = LOSSES[loss], 8.0
    scores, labels = np.array([3.0, 0.5, 1.5, 4.0]), np.array([2.0, 0.0, 1.5, 60.0])
    factor, shift = LINKS[record.link].rescaled(0.0, spread)

    def mean_loss(scores, labels, unit):
        option = [record.option.default / (unit if record.option.has_unit else 1)] if record.option else []
        pairs = zip(scores, labels, strict=True)
        return np.mean([record.value(record.slope(*pair, *option)[1]) for pair in pairs])

    mean = mean_loss((scores - shift) / factor, labels / spread, spread)
    expected = mean_loss(scores, labels, 1.0)
    assert record.in_unit(mean, np.mean(labels / spread), spread) == pytest.approx(expected, rel=1e-12)


@EVERY
def test_labels_of_another_kind_are_refused_by_name(loss):
    if LOSSES[loss].labels in REAL:
        with pytest.raises(ValueError, match=f"^y has the string 'a' at row 0, and {loss} loss needs numbers"):
            LinearModel(loss).fit(X[:4], ["a", "b", "a", "b"])
        if LOSSES[loss].labels == losses.COUNTS:
            for y in ([3, 1, -1, 2], [3.0, 1.0, -1.0, 2.0]):
                with pytest.raises(ValueError, match=rf"^y has -1.* at row 2, and {loss} loss needs counts"):
                    LinearModel(loss).fit(X[:4], y)
            with pytest.raises(ValueError, match=r"^y of the validation examples has -1 at row 0, and .* counts"):
                LinearModel(loss).fit(X[:4], [0, 1, 2, 3], valid=(X[:2], [-1, 0]))
            with pytest.raises(ValueError, match=r"^y has -1 at row 1, and .* counts"):
                trained(loss).evaluate(X[:2], [0, -1])
        return
    with pytest.raises(ValueError, match=f"y has the one label 1: {loss} needs at least two classes"):
        LinearModel(loss).fit(X[:4], [1, 1, 1, 1])
    if LOSSES[loss].labels == losses.TWO_CLASSES:
        with pytest.raises(ValueError, match=f"y has 3 classes: {loss} takes two; use softmax, or squared .*numbers"):
            LinearModel(loss).fit(X[:4], [1, 2, 3, 1])


def test_what_is_not_trained_says_so():
    model = LinearModel()
    for call in (model.labels_of, model.probabilities_of, lambda scores: model.evaluation_of(scores, np.zeros(2))):
        with pytest.raises(RuntimeError, match="has not been trained: call fit first"):
            call(np.zeros(2))
