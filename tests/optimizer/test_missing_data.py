"""A loss that takes data, and is given none: the message names the argument that is missing."""

import functools

import numpy as np
import pytest

import fastadagrad as fa


def regression(w, x, y):
    error = x @ w - y
    return error @ error, 2 * error @ x


MESSAGE = r"^{} is missing: loss takes x and y after w, from data; pass arrays, a Dataset or an iterable"


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: fa.ADAGRAD(regression, np.ones(2)).minimize(), "train"),
        (lambda: fa.ADAGRAD(regression, np.ones(2)).iterate(max_epochs=1), "train"),
        (lambda: fa.minimize(regression, params=np.ones(2)), "train"),
        (lambda: fa.find_learning_rate(fa.ADAGRAD(regression, np.ones(2))), "train"),
        (lambda: fa.ADAGRAD(regression, np.ones(2)).evaluate(None), "dataset"),
    ],
)
def test_it_is_told(call, argument):
    with pytest.raises(TypeError, match=MESSAGE.format(argument)):
        call()


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: (w @ w, 2 * w),
        lambda w, x=1.0: (w @ w, 2 * w),
        lambda w, *batch: (w @ w, 2 * w),
        lambda *args: (args[0] @ args[0], 2 * args[0]),
        lambda w, *, factor=2: (w @ w, factor * w),
        functools.partial(lambda factor, w: (w @ w, factor * w), 2),
    ],
)
def test_a_loss_that_can_do_without(loss):
    opt = fa.SGD(loss, np.ones(2), learning_rate=0.25)
    opt.minimize(max_epochs=1)
    assert opt.steps == 1


def test_one_that_nobody_knows_the_signature_of():
    opt = fa.SGD(max, np.ones(()), gradient=lambda w: np.ones(()))  # inspect has none for it
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        opt.minimize(max_epochs=1)
