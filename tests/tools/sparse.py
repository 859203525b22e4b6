"""What the tests of sparse gradients share: options, shapes, patterns of indices, and the dense gradient meant."""

import numpy as np
from oracle import bits_differ, spread

from fastadagrad import Rows
from fastadagrad.host import place

F4, F8, I4, I8 = np.float32, np.float64, np.int32, np.int64
DTYPES, INDEX_DTYPES = [F4, F8], [I4, I8]

# Those with which a row that a gradient does not name stays as it is.
OPTIONS = {
    "plain": {},
    "epsilon 0": {"rms_regularizer": 0},
    "epsilon inside": {"epsilon_inside": True, "rms_regularizer": 1e-3},
    "initial accumulator": {"initial_accumulator_value": 0.1},
    "decaying rate": {"lr_decay": 0.1},
    "schedule": {"learning_rate": lambda t: 0.1 / (t + 1) ** 0.5},
    "clipped elements": {"max_gradient_elem": 0.5},
    "clipped norm": {"max_gradient_norm": 0.7},
    "clipped elements, not norm": {"max_gradient_elem": 0.5, "max_gradient_norm": 0.7},
    "clipped global norm": {"max_global_norm": 3.0},
    "row": {"accumulator": "row"},
    "row, clipped elements": {"accumulator": "row", "max_gradient_elem": 0.5, "epsilon_inside": True},
    "row, clipped norm": {"accumulator": "row", "max_gradient_norm": 0.5, "lr_decay": 0.1},
    "tensor": {"accumulator": "tensor"},
    "tensor, clipped elements": {"accumulator": "tensor", "max_gradient_elem": 0.5},
    "tensor, clipped norm": {"accumulator": "tensor", "max_gradient_norm": 0.5},
    "tensor, clipped global norm": {"accumulator": "tensor", "max_global_norm": 0.5, "initial_accumulator_value": 0.1},
}

SHAPES = [(1,), (50,), (5000,), (40, 1), (40, 3), (40, 16), (70, 64), (12, 1000), (3, 4100), (10, 3, 5), (1, 1, 2)]

PATTERNS = {
    "ascending": lambda rng, n: np.sort(rng.permutation(n)[: -(-n // 3)]),
    "shuffled": lambda rng, n: rng.permutation(n)[: -(-n // 3)],
    "duplicates": lambda rng, n: rng.integers(n, size=n + 1),
    "ascending duplicates": lambda rng, n: np.sort(rng.integers(n, size=n + 1)),
    "all the same": lambda rng, n: np.full(7, n - 1),
    "empty": lambda rng, n: np.zeros(0, int),
    "every": lambda rng, n: np.arange(n),
    "every, backwards": lambda rng, n: np.arange(n)[::-1],
    "the last": lambda rng, n: np.array([n - 1]),
}


def sparse_gradient(rng, p, pattern, index_dtype=I8, values=spread):
    indices = np.ascontiguousarray(PATTERNS[pattern](rng, len(p)), index_dtype)
    return indices, values(rng, (indices.size, *p.shape[1:]), p.dtype)


def dense(p, indices, values):
    g = np.zeros_like(p)
    with np.errstate(all="ignore"):
        np.add.at(g, indices, values)
    return g


def snapshot(opt):
    arrays = [*opt.params.values(), *(slot for slots in opt.state.values() for slot in slots.values())]
    return [array.tobytes() for array in arrays], opt.steps, opt.skipped


def assert_equal_bits(opt, oracle, where=""):
    for (name, p), q, G in zip(opt.params.items(), oracle.p, oracle.G, strict=True):
        assert bits_differ(p, q) == 0, (name, where)
        assert bits_differ(opt.state[name]["accumulator"], G) == 0, (name, where)


def set_thresholds(monkeypatch):
    """Let the threaded drivers take the smallest arrays too."""
    names = [name for name in vars(place) if name.endswith("_FROM")]
    assert "PARALLEL_FROM" in names
    for name in names:
        monkeypatch.setattr(place, name, 0)


DOCUMENTED = (IndexError, TypeError, ValueError, FloatingPointError)


def refusal(call):
    """The exception, if it is one of those that are documented; None if there is none."""
    try:
        call()
    except DOCUMENTED as error:
        return error
    return None


def sparse_step(rng, p, n=9):
    """Rows, some named twice; which ones they are; and the dense gradient that they stand for."""
    indices = rng.integers(0, len(p), n)
    values = rng.standard_normal((n, *p.shape[1:])).astype(p.dtype)
    dense = np.zeros_like(p)
    np.add.at(dense, indices, values)
    return Rows(indices, values), np.unique(indices), dense
