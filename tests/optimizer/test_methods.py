"""Optimizers by name, and minimization in one call."""

import numpy as np
import pytest

import fastadagrad as fa


def bowl(w, *batch):
    return float(((w - 3) ** 2).sum()), 2 * (w - 3)


@pytest.mark.parametrize("name", ["adagrad", "ADAGRAD", "AdaGrad"])
def test_by_name_in_any_case(name):
    opt = fa.build(name, bowl, np.zeros(1), learning_rate=0.5)
    assert type(opt) is fa.ADAGRAD
    assert opt.hyper.learning_rate == 0.5


@pytest.mark.parametrize(
    ("name", "part"), [("adagrat", "'adagrad'"), ("rmsprob", "'rmsprop'"), (None, "None"), (3, "3")]
)
def test_no_such_method(name, part):
    with pytest.raises(ValueError, match=part):
        fa.build(name, params=np.zeros(1))


def test_minimize_takes_all_kinds_of_arguments():
    w, x = np.zeros(2), np.ones((10, 1))
    norms = []
    train, valid = fa.minimize(
        lambda w, x: bowl(w)[0],
        x,
        x[:5],
        w,
        "AdaGrad",
        12,
        gradient=lambda w, x: bowl(w)[1],
        monitors={"n": lambda w, x: len(x)},
        updates=[(np.zeros(1), lambda w, x: norms.append(len(x)) or 0)],
        monitor_gradients=True,
        batch_size=4,
        rng=0,
        learning_rate=1.0,
        validate_every=1,
    )
    assert set(train) == {"loss", "n", "grad(param0)"}
    assert set(valid) == {"loss", "n", "grad(param0)"}
    assert norms == [4, 4, 2] * 4
    assert valid["loss"] < 0.5


def test_minimize_gives_hyperparameters_to_the_state_too():
    """As in minimize(..., **like("keras")): the accumulator has to begin where it says."""
    w, v = np.zeros((2, 2)), np.zeros((2, 2))
    fa.minimize(bowl, params=w, max_updates=1, accumulator="row", **fa.like("keras"))
    opt = fa.ADAGRAD(params=v, accumulator="row", **fa.like("keras"))
    opt.step(bowl(v)[1])
    assert w.tobytes() == v.tobytes()
    assert opt.state["param0"]["accumulator"].round(6).tolist() == [36.1, 36.1]


def test_minimize_without_parameters():
    with pytest.raises(TypeError, match="params is missing"):
        fa.minimize(bowl, np.ones(3))
