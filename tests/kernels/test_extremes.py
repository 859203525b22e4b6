"""Numbers at the ends of a dtype, and a denominator of 0: what every method makes of them."""

import warnings

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.kernels.rules import form_of, trait
from fastadagrad.optimizer import adaptive

NAMES = [*adaptive.__all__]
REGULARIZED = [name for name in NAMES if hasattr(getattr(fa, name).rule.Hyperparameters, "rms_regularizer")]
POSITIVE = {"ADADELTA"}  # whose steps begin from the regularizer


def made(name, params, **hyper):
    return getattr(fa, name)(params=params, **hyper)


def step(opt, gradient):
    products = (np.ones_like(gradient),) if trait(opt._session.engine.settings[0].form, "fed") else ()
    opt.step(gradient, *products)


def begin(name, dtype):
    return np.zeros(3, dtype) if name == "FTRL" else np.array([1.0, -2.0, 0.0], dtype)


@pytest.mark.parametrize("name", NAMES)
def test_squares_that_overflow_are_told_of_and_make_no_parameter_nan(name):
    """Such an element is no longer trained, and the others go on."""
    w = begin(name, np.float32)
    opt = made(name, w)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            for size in (1e20, 1.0, 1.0):
                step(opt, np.array([size, 1.0, 0.0], np.float32))
        except (ValueError, FloatingPointError):  # methods that measure refuse the step
            assert trait(form_of(opt._session.rule, opt._session.rule.Hyperparameters()), "measured")
    slots = [slot for slots in opt.state.values() for slot in slots.values()]
    assert np.isfinite(w).all(), w
    assert not any(np.isnan(slot).any() for slot in slots), slots
    if any(np.isinf(slot).any() for slot in slots):
        assert [str(each.message) for each in told if "has become infinite" in str(each.message)] != []


@pytest.mark.parametrize("kind", ["row", "tensor"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "rows"])
def test_shared_accumulators_that_overflow_are_told_of(kind, sparse):
    w = np.ones((3, 2), np.float32)
    opt = fa.ADAGRAD(params=w, accumulator=kind)
    values = np.array([[1e20, 1], [1, 1]], np.float32)
    gradient = fa.Rows(np.array([0, 2]), values) if sparse else np.vstack([values, values[1:]])
    with pytest.warns(RuntimeWarning, match="accumulator of 'param0' has become infinite"):
        opt.step(gradient)
    assert np.isfinite(w).all()


@pytest.mark.parametrize("name", REGULARIZED)
def test_without_a_regularizer_what_has_no_gradient_stays(name):
    """0 over 0 is no step, as the guide says; or 0 is refused by name."""
    w = begin(name, np.float32)
    if name in POSITIVE:
        with pytest.raises(ValueError, match="rms_regularizer must be above 0"):
            made(name, w, rms_regularizer=0)
        return
    opt = made(name, w, rms_regularizer=0)
    for gradient in ([0, 0, 0], [0, 1, 0], [0, 0, 0], *([[0, 1 / 3, 0]] * 50)):
        step(opt, np.array(gradient, np.float32))
    before = begin(name, np.float32)
    assert np.isfinite(w).all()
    assert w[[0, 2]].tolist() == before[[0, 2]].tolist()
    assert w[1] != before[1]
