"""The sum of several processes' gradients has the bits of NumPy's, added up in the order of the processes."""

import numpy as np
import pytest

from fastadagrad.kernels.cpu.adding_up import BLOCK, make_add_up
from fastadagrad.kernels.memory.storage import precision_of


def added_up(parts, weights, divisor, summed_in, spans=1):
    """The sum, and whether it was found to be other than finite."""
    total = np.empty(parts[0].size, summed_in)
    pair = make_add_up(parts[0].dtype, total.dtype)
    call = pair.serial if spans == 1 else pair.threaded
    addresses, bits = np.array([part.ctypes.data for part in parts]), total.view(precision_of(total.dtype).integer)
    return total, call(spans, addresses, np.array(weights, summed_in), total.dtype.type(divisor), total, bits)


def by_numpy(parts, weights, divisor, summed_in):
    total = parts[0].astype(summed_in) * summed_in(weights[0])
    for part, weight in zip(parts[1:], weights[1:], strict=True):
        total += part.astype(summed_in) * summed_in(weight)
    return total / summed_in(divisor)


@pytest.mark.parametrize("size", [1, BLOCK - 1, 3 * BLOCK + 7])
@pytest.mark.parametrize("spans", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "summed_in"),
    [("f2", np.float32), ("f2", np.float64), ("f4", np.float32), ("f4", np.float64), ("f8", np.float64)],
)
def test_bits(dtype, summed_in, spans, size):
    rng = np.random.default_rng(0)
    for weights, divisor in (([1.0, 1.0], 2), ([1.0] * 5, 1), ([0.3, 0.2, 0.5], 1)):
        parts = [rng.standard_normal(size).astype(dtype) for _ in weights]
        total, found = added_up(parts, weights, divisor, summed_in, spans)
        assert total.tobytes() == by_numpy(parts, weights, divisor, summed_in).tobytes()
        assert not found


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("spans", [1, 2])
def test_what_is_not_finite_is_found(value, spans):
    for at in (0, BLOCK, 3 * BLOCK):
        parts = [np.zeros(3 * BLOCK + 1, np.float32) for _ in range(2)]
        for part in parts:
            part[at] = value
        assert added_up(parts, [1.0, 1.0], 2, np.float32, spans)[1]


def test_nothing():
    assert not added_up([np.zeros(0), np.zeros(0)], [1.0, 1.0], 2, np.float64)[1]
