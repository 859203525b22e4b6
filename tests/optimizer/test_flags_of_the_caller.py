"""`numpy.seterr(all="raise")` and warnings as errors, in a program that steps: the same bits, and no error."""

import io
import warnings

import numpy as np
import pytest
from checkpoints import contents_of

import fastadagrad as fa
from fastadagrad.optimizer import adaptive

TINY, LARGE = 1e-40, 1e18  # denormal in float32; its square is near the largest
VALUES = np.array([[TINY, -TINY], [0.0, -0.0], [LARGE, 1.0], [1e-20, -1e-30], [3.0, -0.5]])
HYPER = {
    "plain": {},
    "scheduled": {"learning_rate": lambda t: 1e-39 if t % 2 else 0.1, "lr_decay": 1e-9},
    "tiny numbers": {"learning_rate": 1e-42, "l1": 1e-42, "decoupled_weight_decay": 1e-30},
    "clipped": {"max_gradient_norm": 1e-12},
    "clipped together": {"max_global_norm": 1e-12, "momentum": 0.5},
    "an accumulator a row": {"accumulator": "row", "l2": 1e-30},
    "one accumulator": {"accumulator": "tensor", "l1": 1e-30},
    "one accumulator, clipped": {"accumulator": "tensor", "max_gradient_norm": 1e-12},
    "made dense": {"lazy": "dense", "momentum": 0.9},
    "lagging": {"momentum": 0.9},
    "lagging, scheduled": {"l1": 1e-30, "learning_rate": lambda t: 0.1 / (t + 1)},
    "not finite": {"nonfinite": "skip", "max_gradient_norm": 1.0},
    "not looked at": {"nonfinite": "ignore", "accumulator": "tensor"},
}
METHODS = [name for name in adaptive.__all__ if name not in ("ESGD",)]


def gradients_of(dtype, not_finite):
    """Dense ones, rows, and matrices, made before the flags are set."""
    scipy = pytest.importorskip("scipy.sparse")
    dense = VALUES.astype(dtype)
    rows = np.array([[TINY, LARGE], [1, TINY], [TINY, -LARGE]], dtype)
    found = [dense, fa.Rows(np.array([4, 2, 4]), rows), dense * dtype(1e-3), scipy.csr_array(dense)]
    found += [scipy.coo_array((rows[:, 0], ([1, 1, 4], [0, 0, 1])), (5, 2), dtype)]
    return [*found, *([dense * dtype(np.inf)] if not_finite else [])]


def trained(method, dtype, hyper, gradients):
    """What an optimizer holds after everything that computes with numbers outside of kernels."""

    def loss(params, scale):
        return 1.0, {"a": VALUES, "b": tiny}  # converted to the parameter's dtype

    tiny = np.full(3, TINY)
    opt = method(loss, {"a": gradients[0].copy(), "b": np.ones(3)}, monitor_gradients=True, **hyper)
    done = []
    for gradient in gradients:
        try:
            opt.step({"a": gradient, "b": tiny})
            done.append(True)
        except ValueError:  # no closed form, or a method that measures
            done.append(False)
    done.append(opt.read_rows("a", np.array([1, 4])).tobytes())
    opt.hyper.momentum = 0.0
    opt.set_params({"a": VALUES, "b": np.full(3, 1e-310)})
    opt.minimize([np.array([1.0, 1e-30])], max_updates=2, batch_size=1, rng=0)
    opt.evaluate([np.array([1.0])])
    opt.save(file := io.BytesIO())
    file.seek(0)
    opt.load(file)
    return done, contents_of(opt.twin())


def same(method, dtype, hyper):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradients = gradients_of(dtype, "nonfinite" in hyper)
        expected = trained(method, dtype, hyper, gradients)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained(method, dtype, hyper, gradients) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", HYPER)
def test_every_option(case, dtype):
    same(fa.ADAGRAD, dtype, HYPER[case])


@pytest.mark.parametrize("name", METHODS)
def test_every_method(name):
    same(getattr(fa, name), np.float32, {})
