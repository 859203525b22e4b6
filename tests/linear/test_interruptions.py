"""Ctrl-C in a fit of a linear model: the weights that it leaves."""

import numpy as np
import pytest
from linear_examples import classification

from fastadagrad.linear import LinearModel
from fastadagrad.linear.training import Trainer


def test_interruption_keeps_the_weights_so_far():
    def interrupt(entry):
        if entry["epoch"] == 2:
            raise KeyboardInterrupt

    X, y = classification()
    model = LinearModel(learning_rate=0.1).fit(X, y, progress=interrupt)
    assert model.stopped_because == "interrupted"
    whole = LinearModel(learning_rate=0.1, max_epochs=2).fit(X, y)
    np.testing.assert_array_equal(model.coef_, whole.coef_)


def test_interruption_of_the_first_epoch(monkeypatch):
    def interrupt(self, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastadagrad.linear.training.Trainer.train", interrupt)
    model = LinearModel(learning_rate=0.1).fit(*classification())
    assert (model.stopped_because, model.best_epoch, model.history) == ("interrupted", 0, [])
    assert not model.coef_.any()


def interrupt_call(monkeypatch, number):
    """Ctrl-C after so many calls of the compiled loop, each of 100 examples."""
    call, calls = Trainer._call, []

    def counted(self, order):
        result = call(self, order)
        calls.append(len(order))
        if sum(map(bool, calls)) == number:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(Trainer, "_call", counted)
    monkeypatch.setattr(Trainer, "_rows_between_reports", lambda self, features: 100)


def test_interruption_within_an_epoch_keeps_what_it_has_learnt(monkeypatch):
    X, y = classification()
    options = {"scale": "none", "shuffle": False, "learning_rate": 0.1}
    expected = LinearModel(max_epochs=1, average=False, **options).fit(X[:200], y[:200])
    interrupt_call(monkeypatch, 2)
    model = LinearModel(**options).fit(X, y)
    assert (model.stopped_because, model.best_epoch, model.history) == ("interrupted", 0, [])
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_interruption_with_validation_keeps_the_best_epoch(monkeypatch):
    X, y = classification()
    expected = LinearModel(max_epochs=1, learning_rate=0.1).fit(X, y, valid=(X, y))
    interrupt_call(monkeypatch, 6)
    model = LinearModel(learning_rate=0.1).fit(X, y, valid=(X, y))
    assert (model.stopped_because, model.best_epoch) == ("interrupted", 1)
    np.testing.assert_array_equal(model.coef_, expected.coef_)


def test_interruption_of_the_trials_leaves_the_model_as_it_was(monkeypatch):
    """There are no weights yet that could be kept."""
    X, y = classification()
    model = LinearModel()
    interrupt_call(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert not hasattr(model, "coef_")
