"""Fits by several processes, for which threads stand in, are that of one process."""

import numpy as np
import pytest
from in_step import run
from linear_examples import classification, sparse

from fastadagrad.linear import LinearModel

SLOW = pytest.mark.slow
FITS = {
    "dense": (classification, {}),
    "softmax": (lambda: classification(classes=3), {}),
    "sparse": (sparse, {"scale": "maxabs"}),
    "l2, in closed form": (sparse, {"scale": "maxabs", "l2": 1e-3}),
    "momentum, in closed form": (sparse, {"scale": "maxabs", "momentum": 0.9, "learning_rate": 0.1}),
    "rates of steps, in closed form": (sparse, {"scale": "maxabs", "method": "rda", "rda_l1": 1e-3}),
    "validation": (sparse, {"scale": "maxabs", "validation": 0.3, "patience": 1}),
    "no intercept": (sparse, {"scale": "maxabs", "intercept": False, "learning_rate": 0.3}),
    "a mean of three epochs": (sparse, {"scale": "maxabs", "average": 3, "learning_rate": 0.3}),
}


def fitted(comm, case, weights=False, **more):
    examples, how = FITS[case]
    X, y = examples()
    sample_weight = np.linspace(0, 3, len(y)) if weights else None
    model = LinearModel(**{"dtype": np.float64, "batch_size": 25, "max_epochs": 6, **how, **more})
    return model.fit(X, y, comm=comm, sample_weight=sample_weight)


def numbers_of(model):
    return [model.coef_.tobytes(), model.intercept_.tobytes(), model.history, model.best_epoch, model.stopped_because]


@pytest.mark.parametrize("case", FITS)
@pytest.mark.parametrize("size", [2, 3, pytest.param(7, marks=SLOW)])
def test_the_fit_of_one_process(size, case):
    one = fitted(None, case)
    first, *others = run(size, lambda comm: fitted(comm, case))
    for name in ("coef_", "intercept_"):
        scale = np.abs(getattr(one, name)).max()
        np.testing.assert_allclose(getattr(first, name), getattr(one, name), rtol=1e-12, atol=1e-12 * scale)
    assert first.learning_rate_ == one.learning_rate_
    assert [entry["loss"] for entry in first.history] == pytest.approx([e["loss"] for e in one.history], rel=1e-12)
    assert (first.best_epoch, first.stopped_because) == (one.best_epoch, one.stopped_because)
    for other in others:
        assert numbers_of(other) == numbers_of(first)


def test_weights_of_examples():
    one = fitted(None, "sparse", weights=True)
    for model in run(3, lambda comm: fitted(comm, "sparse", weights=True)):
        np.testing.assert_allclose(model.coef_, one.coef_, rtol=1e-12)


def test_one_process_alone_has_the_bits_of_a_fit_without_others():
    [found] = run(1, lambda comm: fitted(comm, "sparse"))
    assert numbers_of(found) == numbers_of(fitted(None, "sparse"))


def test_the_same_bits_again():
    found = [run(3, lambda comm: numbers_of(fitted(comm, "sparse", dtype=np.float32))) for _ in range(2)]
    assert found[0] == found[1]


def test_a_loss_that_is_not_finite_ends_all():
    def fit(comm):
        X, y = classification()
        return LinearModel("squared", method="sgd", batch_size=25, learning_rate=1e30, scale="none").fit(
            X, y, comm=comm
        )

    for model in run(3, fit):
        assert (model.stopped_because, model.best_epoch) == ("non-finite loss", 0)


def test_batches_of_fewer_examples_than_processes():
    def fit(comm):
        return fitted(comm, "sparse", batch_size=2, learning_rate=0.3, max_epochs=1)

    one = fit(None)
    for model in run(7, fit):
        np.testing.assert_allclose(model.coef_, one.coef_, rtol=1e-12, atol=1e-15)


def test_training_that_goes_on():
    def fit(comm):
        X, y = sparse()
        model = LinearModel(dtype=np.float64, batch_size=25, max_epochs=3, warm_start=True, scale="maxabs")
        model.fit(X, y, comm=comm).fit(X, y, comm=comm)
        return model.partial_fit(X, y)  # by each process alone

    one = fit(None)
    first, *others = run(3, fit)
    np.testing.assert_allclose(first.coef_, one.coef_, rtol=1e-12)
    for other in others:
        assert numbers_of(other) == numbers_of(first)


def test_process_0_alone_shows_a_bar(monkeypatch):
    made = []

    class Bar:
        def __init__(self, **how):
            made.append(how["total"])

        def __enter__(self):
            return self

        def __exit__(self, *error):
            """Do nothing."""

        def update(self, count):
            made.append(count)

        def set_postfix(self, entry):
            """Do nothing."""

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    X, y = sparse()
    run(3, lambda comm: LinearModel(batch_size=25, max_epochs=2).fit(X, y, comm=comm, progress=True))
    assert (made[0], sum(made[1:])) == (2 * len(y), 2 * len(y))
