"""Gradients of other layouts and dtypes that a loss returns on a GPU, brought into the form that a step takes."""

import logging

import numpy as np
import pytest
from gpu import Array
from oracle import bits_differ

import fastadagrad as fa
from fastadagrad.device.arrays import as_device_array
from fastadagrad.device.conversion import Converter
from fastadagrad.kernels.cuda.copying import merged_axes


class Strided(Array):
    """Of a NumPy array that has been sliced and turned, the same elements at the same strides."""

    def __init__(self, gpu, view):
        base = view if view.base is None else view.base
        super().__init__(gpu, base)
        self.shape, self._strides = view.shape, view.strides
        self._offset = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]

    @property
    def __cuda_array_interface__(self):
        return {**super().__cuda_array_interface__, "strides": self._strides}


VIEWS = {
    "transposed": lambda a: a.T,
    "every second": lambda a: a[::2, 1::3],
    "backwards": lambda a: a[::-1, ::-1],
    "a column": lambda a: a[:, 3],
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape),
    "turned": lambda a: a.reshape(3, 4, 5).transpose(2, 0, 1),
    "four axes": lambda a: a.reshape(3, 2, 2, 5)[::-1, ::1, ::-1, ::2],
    "nothing": lambda a: a[:0],
    "one": lambda a: a[2, 3],
    "as it is": lambda a: a,
}


@pytest.mark.parametrize("to", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("view", VIEWS)
def test_the_values_of_numpy(interpreter, view, dtype, to):
    values = np.random.default_rng(0).standard_normal(60) * 10.0 ** np.arange(-40, 20)
    values[[7, 23, 24, 40]] = np.nan, np.inf, -np.inf, 1e300
    with np.errstate(over="ignore"):
        expected = VIEWS[view](values.astype(dtype).reshape(12, 5))
        converted = expected.astype(to)
    found = Converter(interpreter, np.dtype(to)).convert("x", as_device_array(Strided(interpreter, expected)))
    assert (found.shape, found.dtype, found.flags.c_contiguous) == (converted.shape, to, True)
    assert bits_differ(found.to_host(), converted) == 0


def test_axes_are_merged():
    assert merged_axes((2, 3, 4), (96, 32, 8)) == [(24, 8)]
    assert merged_axes((2, 1, 4), (64, 7, 8)) == [(2, 64), (4, 8)]
    assert merged_axes((1,), (8,)) == []


def test_too_many_axes(interpreter):
    view = np.zeros((2,) * 10)[:, ::-1, :, ::-1, :, ::-1]
    with pytest.raises(ValueError, match=r"gradient of 'p' has .* axes .* pass a contiguous copy"):
        Converter(interpreter, np.dtype(float)).convert("gradient of 'p'", as_device_array(Strided(interpreter, view)))


@pytest.mark.parametrize("dtype", [np.float16, *(pytest.param(x, marks=pytest.mark.slow) for x in (np.float32, float))])
def test_through_iterate(interpreter, caplog, dtype):
    """A gradient that is a matrix's transpose, and the values of rows."""
    rng = np.random.default_rng(1)
    w, table = rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal((9, 2)).astype(np.float32)
    results = []
    for place in (lambda view: Strided(interpreter, view), np.asarray):
        params = {"w": place(w.copy()), "table": place(table.copy())}
        rng = np.random.default_rng(2)

        def loss(p, place=place, rng=rng):
            indices, values = np.array([3, 1, 3]), rng.standard_normal((2, 3)).astype(dtype).T
            return 0.0, {
                "w": place(rng.standard_normal((3, 4)).astype(dtype).T),
                "table": fa.Rows(place(indices), place(values)),
            }

        opt = fa.ADAGRAD(loss, params, learning_rate=0.1, monitor_gradients=True)
        with caplog.at_level(logging.INFO, logger="fastadagrad"):
            monitors = [train for train, _ in opt.iterate(max_epochs=3)]
        results.append((monitors, [a.numpy() if isinstance(a, Array) else a for a in params.values()]))
    (monitors, arrays), (expected_monitors, expected) = results
    for a, b in zip(monitors, expected_monitors, strict=True):
        assert a == pytest.approx(b, rel=1e-12)
    for a, b in zip(arrays, expected, strict=True):
        assert bits_differ(a, b) == 0
    told = [r.getMessage() for r in caplog.records if "are converted" in r.getMessage()]
    assert len(told) == 2  # once by each optimizer
    assert told[0] == told[1]


def test_numbers_that_are_no_floats(interpreter):
    opt = fa.ADAGRAD(lambda p: (0.0, interpreter.array(np.ones(3, int))), interpreter.array(np.zeros(3)))
    with pytest.raises(TypeError, match="gradient of 'param0' must hold floats, not int64"):
        opt.minimize(max_epochs=1)
