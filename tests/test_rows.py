"""Row-sparse gradients: the bits of the dense step on `np.add.at(zeros, indices, values)`, at the cost of the rows."""

import math
import subprocess
import sys
import textwrap
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, bits_differ

import fastadagrad as fa
from fastadagrad import engine

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


def spread(rng, shape, dtype):
    """Values over 16 orders of magnitude, zeros of both signs among them."""
    x = rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-8, 8, shape)
    return np.asarray(np.where(rng.random(shape) < 0.05, rng.choice([-0.0, 0.0], shape), x), dtype)


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
    names = [name for name in vars(engine) if name.endswith("_FROM")]
    assert "PARALLEL_FROM" in names
    for name in names:
        monkeypatch.setattr(engine, name, 0)


@pytest.fixture(params=[1, 2], ids=["serial", "threaded"])
def threads(request, monkeypatch):
    if request.param > 1:
        set_thresholds(monkeypatch)
    return request.param


# --- the bits of the dense step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", OPTIONS)
def test_many_tensors(option, dtype, index_dtype, threads):
    """Of all ranks and widths, with all patterns of indices, some of their gradients dense."""
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(1)
    params = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, threads=threads, **hyper)
    patterns = [*PATTERNS, "dense"]
    for t in range(len(patterns)):
        given, full = [], []
        for i, p in enumerate(params):
            pattern = patterns[(t + i) % len(patterns)]
            if pattern == "dense":
                full.append(spread(rng, p.shape, dtype))
                given.append(full[-1])
            else:
                indices, values = sparse_gradient(rng, p, pattern, index_dtype)
                full.append(dense(p, indices, values))
                given.append(fa.Rows(indices, values))
        opt.step(given)
        oracle.step(full)
        assert_equal_bits(opt, oracle, t)
    assert opt.steps == len(patterns)


@pytest.mark.parametrize("option", ["plain", "clipped norm", "clipped global norm", "row", "tensor"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_tensor(shape, dtype, option, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(2)
    w = rng.standard_normal(shape).astype(dtype)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, threads=threads, **hyper)
    for pattern in PATTERNS:
        indices, values = sparse_gradient(rng, w, pattern)
        before = indices.tobytes(), values.tobytes()
        opt.step(fa.Rows(indices, values))
        assert (indices.tobytes(), values.tobytes()) == before
        oracle.step([dense(w, indices, values)])
        assert_equal_bits(opt, oracle, pattern)


@pytest.mark.parametrize("option", ["plain", "clipped norm", "row", "tensor"])
@pytest.mark.parametrize("shape", [(5_000_000,), (300_000, 3), (60_000, 16), (900, 1001)], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_large(shape, option, threads):
    """As large as it takes for threads and for sorting by several digits, without moving a threshold."""
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(3)
    w = np.ones(shape, F4)
    expected = w.copy()
    opt, reference = (fa.ADAGRAD(params=p, threads=threads, **hyper) for p in (w, expected))
    for n in (1, 1000, shape[0] // 3):
        indices = rng.integers(shape[0] // 2, size=n, dtype=I8) * 2
        values = spread(rng, (n, *shape[1:]), F4)
        opt.step(fa.Rows(indices, values))
        reference.step(dense(w, indices, values))
        assert bits_differ(w, expected) == 0
        assert bits_differ(opt.state["param0"]["accumulator"], reference.state["param0"]["accumulator"]) == 0


@pytest.mark.parametrize("option", ["plain", "clipped global norm", "row", "tensor"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 0), (5, 0, 2)], ids=str)
def test_nothing_in_it(shape, option):
    hyper = OPTIONS[option]
    w = np.zeros(shape)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, **hyper)
    for indices in ([], [0, 0, 4]) if shape[0] else ([],):
        opt.step(fa.Rows(np.array(indices, I8), np.zeros((len(indices), *shape[1:]))))
        oracle.step([w])
    assert_equal_bits(opt, oracle)
    assert opt.steps == (2 if shape[0] else 1)
    if not shape[0]:
        with pytest.raises(IndexError, match="'param0'"):
            opt.step(fa.Rows(np.zeros(1, I8), np.zeros((1, *shape[1:]))))


def nearly_nothing(rng, shape, dtype):
    """Zeros of both signs and denormal values; sums of some are zeros."""
    tiny = np.finfo(dtype).smallest_subnormal
    return rng.choice(np.array([-0.0, 0.0, tiny, -tiny, 5 * tiny, np.finfo(dtype).tiny / 3], dtype), shape)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_zeros_of_both_signs_and_denormal_values(dtype, option, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(4)
    params = [nearly_nothing(rng, shape, dtype) for shape in ((40,), (20, 3), (20, 33))]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, threads=threads, **hyper)
    for pattern in PATTERNS:
        gradients = [sparse_gradient(rng, p, pattern, values=nearly_nothing) for p in params]
        opt.step([fa.Rows(*g) for g in gradients])
        oracle.step([dense(p, *g) for p, g in zip(params, gradients, strict=True)])
        assert_equal_bits(opt, oracle, pattern)


def test_a_gradient_of_minus_zero_is_added_to_zero():
    """As `np.add.at` has it: a parameter of -0.0 stays -0.0, which it would not if -0.0 were taken from it."""
    for n in (1, 2):
        w = np.array([-0.0, -0.0])
        fa.ADAGRAD(params=w).step(fa.Rows(np.zeros(n, I8), np.full(n, -0.0)))
        assert np.signbit(w).all()


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    rows=st.integers(1, 7),
    rest=st.lists(st.integers(0, 5), max_size=2).map(tuple),
    dtype=st.sampled_from(DTYPES),
    index_dtype=st.sampled_from(INDEX_DTYPES),
    option=st.sampled_from(sorted(OPTIONS)),
    places=st.lists(st.lists(st.integers(0, 6), max_size=9), min_size=1, max_size=3),
    numbers=st.lists(st.floats(width=32), min_size=1, max_size=30),
    start=st.lists(st.floats(width=32), min_size=1, max_size=9),
    threads=st.sampled_from([1, 2]),
)
def test_any_values(rows, rest, dtype, index_dtype, option, places, numbers, start, threads):
    """NaN, infinities, denormals and all, unchecked."""
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    w = np.resize(np.array(start, dtype), (rows, *rest))
    before = w.copy()
    oracle = Oracle([w], **hyper)
    with pytest.MonkeyPatch.context() as patch:
        if threads > 1:
            set_thresholds(patch)
        opt = fa.ADAGRAD(params=w, nonfinite="ignore", threads=threads, **hyper)
        for place in places:
            indices = np.array(place, index_dtype) % index_dtype(rows)
            values = np.resize(np.array(numbers, dtype), (indices.size, *rest))
            opt.step(fa.Rows(indices, values))
            oracle.step([dense(w, indices, values)])
    named = np.zeros(rows, bool)
    named[np.array([i for place in places for i in place], int) % rows] = True
    shared = opt.state["param0"]["accumulator"].ndim == 0
    # A NaN in a scale or a metric that all rows share spoils all of a dense parameter; here the rows that are named.
    assert bits_differ(w[named], oracle.p[0][named]) == 0
    assert bits_differ(w[~named], before[~named]) == 0
    if shared:
        assert bits_differ(opt.state["param0"]["accumulator"], oracle.G[0]) == 0
    else:
        assert bits_differ(opt.state["param0"]["accumulator"][named], oracle.G[0][named]) == 0
    if np.isfinite(np.array(numbers)).all() and not hyper.get("max_gradient_norm") and not shared:
        assert_equal_bits(opt, oracle)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_not_named_keep_their_bits(dtype, option, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(5)
    garbage = rng.integers(0, 256, (200, 5 * dtype().itemsize), np.uint8).view(dtype)
    garbage[::3] = np.nan
    garbage[1::6] = -0.0
    garbage[4::6] = [np.inf, -np.inf, np.finfo(dtype).smallest_subnormal, -np.nan, 1]
    w = garbage.copy()
    named = np.arange(3, 200, 7)
    w[named] = 1.0
    start = w.copy()
    opt = fa.ADAGRAD(params=w, threads=threads, **hyper)
    for _ in range(3):
        indices = rng.choice(named, 40)
        opt.step(fa.Rows(indices, spread(rng, (40, 5), dtype)))
    others = np.setdiff1d(np.arange(200), named)
    assert w[others].tobytes() == start[others].tobytes()
    assert np.isfinite(w[named]).all()
    assert (w[named] != 1).any()
    accumulator = opt.state["param0"]["accumulator"]
    if accumulator.ndim:
        assert (accumulator[others] == dtype(hyper.get("initial_accumulator_value", 0))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", ["plain", "clipped norm", "row", "tensor"])
def test_assume_unique(option, dtype, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(6)
    w = rng.standard_normal((60, 5)).astype(dtype)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, threads=threads, **hyper)
    for pattern in ("shuffled", "ascending", "every", "every, backwards", "the last", "empty"):
        indices, values = sparse_gradient(rng, w, pattern)
        opt.step(fa.Rows(indices, values, assume_unique=True))
        oracle.step([dense(w, indices, values)])
        assert_equal_bits(opt, oracle, pattern)


@pytest.mark.parametrize("hyper", [{}, {"accumulator": "row"}, {"accumulator": "tensor"}, {"momentum": 0.9}], ids=str)
def test_assume_unique_of_duplicates_is_safe(hyper, threads):
    rng = np.random.default_rng(7)
    w = rng.standard_normal((500, 4))
    start = w.copy()
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, threads=threads, **hyper)
    for _ in range(20):
        indices = rng.integers(100, size=1000)
        opt.step(fa.Rows(indices, rng.standard_normal((1000, 4)), assume_unique=True))
    assert np.isfinite(w).all()
    assert w[100:].tobytes() == start[100:].tobytes()
    with pytest.raises(IndexError, match="'param0'"):
        opt.step(fa.Rows(np.array([3, 500]), np.ones((2, 4)), assume_unique=True))


def test_groups_and_mixed_dtypes(threads):
    rng = np.random.default_rng(8)
    params = {"a": rng.standard_normal((40, 2)).astype(F4), "b": rng.standard_normal((5, 6)), "c": np.ones(3)}
    groups = {"a": {"learning_rate": 0.5, "max_gradient_elem": 0.1}, "b": {"accumulator": "row"}}
    oracles = {name: Oracle([p], **{"learning_rate": 0.1, **groups.get(name, {})}) for name, p in params.items()}
    frozen = np.ones((2, 2))
    groups["frozen"] = {"frozen": True}
    opt = fa.ADAGRAD(params={**params, "frozen": frozen}, learning_rate=0.1, groups=groups, threads=threads)
    for _ in range(20):
        gradients = {name: sparse_gradient(rng, p, "duplicates", I4) for name, p in params.items()}
        for name, oracle in oracles.items():
            oracle.step([dense(params[name], *gradients[name])])
        opt.step(
            {**{name: fa.Rows(*g) for name, g in gradients.items()}, "frozen": fa.Rows(np.array([99]), frozen[:1])}
        )
    for name, oracle in oracles.items():
        assert bits_differ(params[name], oracle.p[0]) == 0
        assert bits_differ(opt.state[name]["accumulator"], oracle.G[0]) == 0
    assert (frozen == 1).all()


def test_updates_one_by_one():
    rng = np.random.default_rng(9)
    params = [rng.standard_normal(5), rng.standard_normal((8, 3))]
    oracles = [Oracle([p], learning_rate=0.1, lr_decay=0.1) for p in params]
    opt = fa.ADAGRAD(params=params, learning_rate=0.1, lr_decay=0.1)
    updates = [update for _, update in opt.get_updates()]
    for t in range(10):
        for update, oracle, p in zip(updates, oracles, params, strict=True):
            indices, values = sparse_gradient(rng, p, "duplicates")
            g = dense(p, indices, values)
            oracle.step([g])
            update(g if t % 3 == 0 else fa.Rows(indices, values))
    for oracle, p in zip(oracles, params, strict=True):
        assert bits_differ(p, oracle.p[0]) == 0
    assert (opt.steps, [update.steps for update in updates]) == (0, [10, 10])
    before = snapshot(opt)
    with pytest.raises(IndexError, match="'param1'"):
        updates[1](fa.Rows(np.array([8]), np.ones((1, 3))))
    assert snapshot(opt) == before
    assert updates[1].steps == 10


# --- where the memory is --------------------------------------------------------------------------------------------


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def test_memmaps_and_read_only_arrays(tmp_path, threads):
    rng = np.random.default_rng(10)
    w = np.memmap(tmp_path / "w", F4, "w+", shape=(100, 7))
    w[...] = rng.standard_normal(w.shape)
    oracle = Oracle([w], learning_rate=0.1)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, threads=threads)
    for pattern in PATTERNS:
        indices, values = sparse_gradient(rng, w, pattern, I4)
        mapped = np.memmap(tmp_path / "g", F4, "w+", shape=(max(1, len(values)), 7))[: len(values)]
        mapped[...] = values
        from_bytes = np.frombuffer(values.tobytes(), F4).reshape(values.shape)
        for i, v in ((read_only(indices), read_only(values)), (read_only(indices), mapped), (indices, from_bytes)):
            opt.step(fa.Rows(i, v))
            oracle.step([dense(w, indices, values)])
    assert_equal_bits(opt, oracle)
    w.flush()
    assert np.fromfile(tmp_path / "w", F4).tobytes() == oracle.p[0].tobytes()


def test_views_into_larger_arrays():
    w = np.ones((6, 2))
    oracle = Oracle([w], learning_rate=0.1)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1)
    indices, values = np.array([9, 5, 1, 5, 9]), np.arange(12.0).reshape(6, 2)
    opt.step(fa.Rows(indices[1:4], values[2:5]))
    oracle.step([dense(w, indices[1:4], values[2:5])])
    assert_equal_bits(opt, oracle)


DOCUMENTED = (IndexError, TypeError, ValueError, FloatingPointError)


def refusal(call):
    """The exception, if it is one of those that are documented; None if there is none."""
    try:
        call()
    except DOCUMENTED as error:
        return error
    return None


@pytest.mark.parametrize("overlap", ["parameter", "part of it", "accumulator", "velocity"])
def test_values_that_are_the_parameter_or_the_state(overlap):
    """Either refused or as if they were a copy."""
    w = np.linspace(-1, 1, 40).reshape(20, 2)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, momentum=0.9, lazy="dense")
    opt.step(np.ones((20, 2)))
    oracle = Oracle([w], learning_rate=0.1, momentum=0.9)
    slots = opt.state["param0"]
    oracle.G[0][...], oracle.v[0][...] = slots["accumulator"], slots["velocity"]
    values = {"parameter": w, "part of it": w[3:17], **slots}[overlap]
    for indices in (np.arange(len(values)), np.arange(len(values))[::-1].copy(), np.zeros(len(values), I8)):
        oracle.p[0] = w.copy()
        oracle.G[0][...], oracle.v[0][...] = slots["accumulator"], slots["velocity"]
        oracle.step([dense(w, indices, values)])
        before = snapshot(opt)
        error = refusal(lambda indices=indices: opt.step(fa.Rows(indices, values)))
        if error is None:
            assert_equal_bits(opt, oracle)
        else:
            assert snapshot(opt) == before
            assert isinstance(error, ValueError)
            assert "'param0'" in str(error)


def test_indices_that_are_the_parameter():
    """A step that changes its own indices must not write where they then point. In a process of its own."""
    code = """
        import numpy as np, fastadagrad as fa
        for n in (3, 40):
            for start in (np.arange(1, n + 1), np.arange(n, 0, -1), np.ones(n, int)):
                w = np.zeros(100)
                w.view(np.int64)[:n] = start
                indices, values = w.view(np.int64)[:n], np.ones(n)
                copy, expected = indices.copy(), w.copy()
                opt = fa.ADAGRAD(params=w, learning_rate=1.0, rms_regularizer=0)
                try:
                    opt.step(fa.Rows(indices, values))
                except ValueError as error:
                    assert "'param0'" in str(error)
                    assert w.tobytes() == expected.tobytes()
                else:
                    fa.ADAGRAD(params=expected, learning_rate=1.0, rms_regularizer=0).step(fa.Rows(copy, values))
                    assert w.tobytes() == expected.tobytes()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])


# --- scipy.sparse ---------------------------------------------------------------------------------------------------

FORMATS = ["csr_matrix", "csr_array", "csc_matrix", "csc_array", "coo_matrix", "coo_array"]


def scrambled(kind, rng, shape, dtype, index_dtype=I4):
    """Duplicates, explicit zeros and indices in no order; with it the dense gradient that it stands for."""
    n = rng.integers(0, 2 * math.prod(shape) + 1)
    row, column = rng.integers(shape[0], size=n), rng.integers(shape[1], size=n)
    data = spread(rng, n, dtype)
    make = getattr(scipy.sparse, kind)
    if kind.startswith("coo"):
        sparse = make((data, (row.astype(index_dtype), column.astype(index_dtype))), shape=shape)
    else:
        major, minor, size = (row, column, shape[0]) if kind.startswith("csr") else (column, row, shape[1])
        order = np.argsort(major, kind="stable")
        row, column, data = row[order], column[order], data[order]
        starts = np.searchsorted(major[order], np.arange(size + 1)).astype(index_dtype)
        sparse = make((data, minor[order].astype(index_dtype), starts), shape=shape)
    assert sparse.nnz == n
    g = np.zeros(shape, dtype)
    np.add.at(g, (row, column), data)
    return sparse, g


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("option", OPTIONS)
def test_scipy_sparse(option, dtype, kind, threads):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(11)
    params = [rng.standard_normal(shape).astype(dtype) for shape in ((1, 1), (30, 4), (7, 40), (5, 5))]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, threads=threads, **hyper)
    for t in range(4):
        pairs = [scrambled(kind, rng, p.shape, dtype, INDEX_DTYPES[t % 2]) for p in params]
        given = [sparse for sparse, _ in pairs]
        before = [
            [(name, np.array(a).tobytes()) for name, a in sorted(vars(x).items()) if a is not None] for x in given
        ]
        opt.step(given)
        after = [[(name, np.array(a).tobytes()) for name, a in sorted(vars(x).items()) if a is not None] for x in given]
        assert [dict(x) for x in before] == [
            {k: v for k, v in x if k in dict(y)} for x, y in zip(after, before, strict=True)
        ]
        oracle.step([g for _, g in pairs])
        assert_equal_bits(opt, oracle, t)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_empty_scipy_matrix(kind):
    w = np.ones((3, 4))
    opt = fa.ADAGRAD(params=w)
    opt.step(getattr(scipy.sparse, kind)((3, 4)))
    assert (w == 1).all()
    assert opt.steps == 1


def corrupted(kind, where, value):
    a = getattr(scipy.sparse, kind)(np.eye(3, 4))
    getattr(a, where)[-1] = value
    return a


def coo_with(row, column):
    a = scipy.sparse.coo_array(np.eye(3, 4))
    a.coords = (np.array(row, I4), np.array(column, I4))
    return a


BAD_SCIPY = {
    "another shape": (lambda: scipy.sparse.csr_array((3, 5)), ValueError),
    "transposed": (lambda: scipy.sparse.csr_array((4, 3)), ValueError),
    "transposed csc": (lambda: scipy.sparse.csc_array((4, 3)), ValueError),
    "transposed coo": (lambda: scipy.sparse.coo_array((4, 3)), ValueError),
    "float32": (lambda: scipy.sparse.csr_array(np.eye(3, 4, dtype=F4)), TypeError),
    "int": (lambda: scipy.sparse.coo_array(np.eye(3, 4, dtype=int)), TypeError),
    "bool": (lambda: scipy.sparse.csc_array(np.eye(3, 4, dtype=bool)), TypeError),
    "complex": (lambda: scipy.sparse.csr_matrix(np.eye(3, 4, dtype=complex)), TypeError),
    "NaN": (lambda: scipy.sparse.csr_array(np.eye(3, 4) * np.nan), FloatingPointError),
    "column too large": (lambda: corrupted("csr_array", "indices", 4), (IndexError, ValueError)),
    "column negative": (lambda: corrupted("csr_array", "indices", -1), (IndexError, ValueError)),
    "row too large": (lambda: corrupted("csc_array", "indices", 3), (IndexError, ValueError)),
    "row negative": (lambda: corrupted("csc_array", "indices", -1), (IndexError, ValueError)),
    "starts beyond the data": (lambda: corrupted("csr_array", "indptr", 10**6), (IndexError, ValueError)),
    "starts below 0": (lambda: corrupted("csr_array", "indptr", -5), (IndexError, ValueError)),
    "coo row too large": (lambda: coo_with([0, 1, 3], [0, 1, 2]), (IndexError, ValueError)),
    "coo column too large": (lambda: coo_with([0, 1, 2], [0, 1, 4]), (IndexError, ValueError)),
    "coo column negative": (lambda: coo_with([0, 1, 2], [0, 1, -1]), (IndexError, ValueError)),
    "lists of lists": (lambda: scipy.sparse.lil_array(np.eye(3, 4)), (TypeError, ValueError)),
    "dict of keys": (lambda: scipy.sparse.dok_array(np.eye(3, 4)), (TypeError, ValueError)),
    "diagonals": (lambda: scipy.sparse.dia_array(np.eye(3, 4)), (TypeError, ValueError)),
    "blocks": (lambda: scipy.sparse.bsr_array(np.eye(3, 4)), (TypeError, ValueError)),
}


@pytest.mark.parametrize("case", BAD_SCIPY)
def test_a_bad_scipy_matrix_changes_nothing(case):
    make, error = BAD_SCIPY[case]
    opt = fa.ADAGRAD(params={"other": np.ones(2), "emb": np.ones((3, 4))})
    before = snapshot(opt)
    with pytest.raises(error, match="'emb'"):
        opt.step({"other": np.ones(2), "emb": make()})
    assert snapshot(opt) == before


@pytest.mark.parametrize("shape", [(), (12,), (3, 4, 1), (3, 2, 2)], ids=str)
def test_scipy_matrices_are_for_2d_parameters(shape):
    opt = fa.ADAGRAD(params={"emb": np.ones(shape)})
    with pytest.raises(ValueError, match="'emb'"):
        opt.step({"emb": scipy.sparse.csr_array(np.eye(3, 4))})


# --- what is refused ------------------------------------------------------------------------------------------------


def index(values, dtype=I8):
    return np.array(values, dtype)


def matrix(a):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.matrix(a)


V = np.ones((2, 3))
BAD = {
    "negative": (lambda: (index([0, -1]), V), IndexError),
    "negative int32": (lambda: (index([-1, 0], I4), V), IndexError),
    "just too large": (lambda: (index([0, 5]), V), IndexError),
    "just too large int32": (lambda: (index([5, 0], I4), V), IndexError),
    "2**31": (lambda: (index([0, 2**31]), V), IndexError),
    "2**32, 0 in 32 bits": (lambda: (index([0, 2**32]), V), IndexError),
    "2**32 + 1": (lambda: (index([2**32 + 1, 0]), V), IndexError),
    "largest int64": (lambda: (index([2**63 - 1, 0]), V), IndexError),
    "smallest int64": (lambda: (index([0, -(2**63)]), V), IndexError),
    "largest int32": (lambda: (index([2**31 - 1, 0], I4), V), IndexError),
    "smallest int32": (lambda: (index([-(2**31), 0], I4), V), IndexError),
    "float indices": (lambda: (index([0, 1], F8), V), TypeError),
    "float32 indices": (lambda: (index([0, 1], F4), V), TypeError),
    "no indices, as floats": (lambda: (np.array([]), np.ones((0, 3))), TypeError),
    "bool indices": (lambda: (index([True, False], bool), V), TypeError),
    "mask": (lambda: (np.array([True, False, True, False, False]), V), TypeError),
    "object indices": (lambda: (index([0, 1], object), V), TypeError),
    "uint8 indices": (lambda: (index([0, 1], np.uint8), V), TypeError),
    "uint32 indices": (lambda: (index([0, 1], np.uint32), V), TypeError),
    "uint64 indices": (lambda: (index([0, 1], np.uint64), V), TypeError),
    "int16 indices": (lambda: (index([0, 1], np.int16), V), TypeError),
    "complex indices": (lambda: (index([0, 1], complex), V), TypeError),
    "text indices": (lambda: (np.array(["0", "1"]), V), TypeError),
    "times for indices": (lambda: (index([0, 1], "m8[s]"), V), TypeError),
    "foreign-endian indices": (lambda: (index([0, 1], np.dtype(I8).newbyteorder()), V), (TypeError, ValueError)),
    "masked indices": (lambda: (np.ma.array([0, 1]), V), (TypeError, ValueError)),
    "None for indices": (lambda: (None, V), TypeError),
    "2-D indices": (lambda: (index([[0, 1]]), V), ValueError),
    "2-D indices, one column": (lambda: (index([[0], [1]]), V), ValueError),
    "0-d indices": (lambda: (index(0), V[0]), ValueError),
    "0-d indices, one row": (lambda: (index(0), V[:1]), ValueError),
    "more indices": (lambda: (index([0, 1, 2]), V), ValueError),
    "fewer indices": (lambda: (index([0]), V), ValueError),
    "no indices": (lambda: (index([]), V), ValueError),
    "no values": (lambda: (index([0, 1]), np.ones((0, 3))), ValueError),
    "narrow": (lambda: (index([0, 1]), np.ones((2, 2))), ValueError),
    "wide": (lambda: (index([0, 1]), np.ones((2, 4))), ValueError),
    "one column": (lambda: (index([0, 1]), np.ones((2, 1))), ValueError),
    "flat": (lambda: (index([0, 1]), np.ones(6)), ValueError),
    "one value a row": (lambda: (index([0, 1]), np.ones(2)), ValueError),
    "another axis": (lambda: (index([0, 1]), np.ones((2, 3, 1))), ValueError),
    "0-d values": (lambda: (index([0, 1]), np.ones(())), ValueError),
    "transposed": (lambda: (index([0, 1]), np.ones((3, 2))), ValueError),
    "Fortran": (lambda: (index([0, 1]), np.ones((2, 3), order="F")), ValueError),
    "strided": (lambda: (index([0, 1]), np.ones((2, 6))[:, ::2]), ValueError),
    "every other row": (lambda: (index([0, 1]), np.ones((4, 3))[::2]), ValueError),
    "backwards": (lambda: (index([0, 1]), V[::-1]), ValueError),
    "broadcast": (lambda: (index([0, 1]), np.broadcast_to(1.0, (2, 3))), ValueError),
    "unaligned": (lambda: (index([0, 1]), np.zeros(49, np.uint8)[1:].view(F8).reshape(2, 3)), ValueError),
    "float32 values": (lambda: (index([0, 1]), V.astype(F4)), TypeError),
    "int values": (lambda: (index([0, 1]), V.astype(int)), TypeError),
    "bool values": (lambda: (index([0, 1]), V.astype(bool)), TypeError),
    "complex values": (lambda: (index([0, 1]), V.astype(complex)), TypeError),
    "object values": (lambda: (index([0, 1]), V.astype(object)), TypeError),
    "foreign-endian values": (lambda: (index([0, 1]), V.astype(np.dtype(F8).newbyteorder())), TypeError),
    "masked values": (lambda: (index([0, 1]), np.ma.array(V)), TypeError),
    "matrix of values": (lambda: (index([0, 1]), matrix(V)), TypeError),
    "None for values": (lambda: (index([0, 1]), None), TypeError),
    "NaN": (lambda: (index([0, 1]), np.array([[1, 1, 1], [1, np.nan, 1]])), FloatingPointError),
    "infinity": (lambda: (index([0, 1]), np.array([[np.inf, 1, 1], [1, 1, 1]])), FloatingPointError),
    "infinities that cancel": (lambda: (index([1, 1]), np.array([[np.inf] * 3, [-np.inf] * 3])), FloatingPointError),
    "sum that overflows": (lambda: (index([1, 1]), np.full((2, 3), 1.7e308)), FloatingPointError),
    "sum that overflows on the way": (
        lambda: (index([4, 4, 4]), np.array([[1.7e308] * 3, [1.7e308] * 3, [-1.7e308] * 3])),
        FloatingPointError,
    ),
}
HYPERS = [{}, {"max_global_norm": 1.0}, {"momentum": 0.9}, {"accumulator": "row", "lazy": "touched", "l2": 0.1}]


@pytest.mark.parametrize("hyper", HYPERS, ids=str)
@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_bad_rows_change_nothing(case, unique, hyper, threads):
    make, error = BAD[case]
    if unique and ("sum" in case or "cancel" in case):
        pytest.skip("nothing is summed")
    opt = fa.ADAGRAD(params={"other": np.ones(2), "emb": np.ones((5, 3)), "last": np.ones(2, F4)}, **hyper)
    good = {"other": np.ones(2), "last": fa.Rows(index([0]), np.ones(1, F4))}
    opt.step({**good, "emb": fa.Rows(index([3, 4]), V)})
    opt.flush()
    before = snapshot(opt)
    with pytest.raises(error, match="'emb'"):
        opt.step({**good, "emb": fa.Rows(*make(), assume_unique=unique)})
    assert snapshot(opt) == before
    opt.step({**good, "emb": fa.Rows(index([3, 4]), V)})
    assert opt.steps == 2


@pytest.mark.parametrize("n", [3, 100_000])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("wrong", [-1, 1000, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_one_bad_index_among_many(n, place, wrong, dtype, threads):
    w = np.ones(1000)
    opt = fa.ADAGRAD(params=w, threads=threads)
    indices = np.arange(n, dtype=dtype) % 1000
    indices[{"first": 0, "middle": n // 2, "last": -1}[place]] = wrong
    with pytest.raises(IndexError, match=rf"'param0'.*{wrong}"):
        opt.step(fa.Rows(indices, np.ones(n)))
    assert (w == 1).all()
    assert opt.steps == 0


@pytest.mark.parametrize("make", [lambda: fa.Rows(index([0]), np.ones(1)), lambda: fa.Rows(index([]), np.ones(0))])
def test_a_0d_parameter_has_no_rows(make):
    opt = fa.ADAGRAD(params={"b": np.ones(())})
    with pytest.raises(ValueError, match="'b'"):
        opt.step({"b": make()})
    assert opt.params["b"] == 1


def test_rows_are_for_one_parameter_not_for_the_whole_structure():
    rows = fa.Rows(index([0]), np.ones(1))
    for params in (*([np.ones(2) for _ in range(n)] for n in (1, 2, 3)), {"a": np.ones(2)}):
        opt = fa.ADAGRAD(params=params)
        with pytest.raises((TypeError, ValueError)):
            opt.step(rows)
        assert opt.steps == 0
    w = np.ones(2)
    fa.ADAGRAD(params=w).step(rows)  # one array is one parameter
    assert w[0] < 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_that_overflows_is_skipped_or_ignored_when_asked(dtype, threads):
    large = np.full((3, 2), np.finfo(dtype).max)
    for nonfinite in ("raise", "skip", "ignore"):
        w = np.ones((4, 2), dtype)
        opt = fa.ADAGRAD(params=w, nonfinite=nonfinite, threads=threads)
        opt.step(fa.Rows(index([0, 1, 2]), np.ones((3, 2), dtype)))
        before = snapshot(opt)
        rows = fa.Rows(index([2, 3, 2]), large)
        if nonfinite == "raise":
            with pytest.raises(FloatingPointError, match=r"'param0'.*finite"):
                opt.step(rows)
        else:
            opt.step(rows)
        if nonfinite == "skip":
            assert (opt.steps, opt.skipped) == (1, 1)
        if nonfinite != "ignore":
            assert snapshot(opt)[0] == before[0]
        else:
            assert not np.isfinite(opt.state["param0"]["accumulator"][2]).any()


@pytest.mark.parametrize("limit", ["max_gradient_norm", "max_global_norm"])
def test_a_norm_that_overflows_is_not_finite(limit):
    w, v = np.ones(3), np.ones(2, F4)
    opt = fa.ADAGRAD(params=[v, w], **{limit: 1.0})
    with pytest.raises(FloatingPointError, match=r"'param1'.*norm"):
        opt.step([np.ones(2, F4), fa.Rows(index([1, 2]), np.full(2, 1e200))])
    assert (w == 1).all()
    assert (v == 1).all()


def test_an_infinite_accumulator_is_warned_of():
    w = np.zeros((3, 2), F4)
    opt = fa.ADAGRAD(params={"emb": w})
    with pytest.warns(RuntimeWarning, match="accumulator of 'emb'.*infinite") as caught:
        opt.step({"emb": fa.Rows(index([1]), np.full((1, 2), 1e20, F4))})
    assert [warning.filename for warning in caught] == [__file__]
    assert opt.steps == 1


# --- fuzz -----------------------------------------------------------------------------------------------------------


def pick(rng, usual, *others):
    return usual if rng.random() < 0.8 else others[rng.integers(len(others))]


def random_rows(rng, p):
    """Arguments of `Rows` for p, and the exceptions that they call for: none if they are good."""
    faults = set()
    n = int(rng.integers(0, 8))
    indices = rng.integers(len(p), size=n)
    if n and rng.random() < 0.2:
        indices[rng.integers(n)] = rng.choice([-1, len(p), -(2**31), 2**31 - 1, -(2**63), 2**63 - 1, 2**32])
    dtype = pick(rng, (I8, I4)[rng.integers(2)], np.uint8, np.uint64, F4, F8, bool, object, np.int16, complex)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        indices = indices.astype(dtype)
    if dtype not in (I4, I8):
        faults.add(TypeError)
    elif ((indices < 0) | (indices >= len(p))).any():
        faults.add(IndexError)
    shape = pick(rng, (n,), (n, 1), (1, n), ())
    if shape == () and n:
        indices = np.array(indices[0], dtype)
    elif shape != ():
        indices = indices.reshape(shape)
    if indices.ndim != 1:
        faults.add(ValueError)
    rest = pick(rng, p.shape[1:], (*p.shape[1:], 1), p.shape[:0:-1], (3,), ())
    length = pick(rng, n, n + 1, max(0, n - 1), 0)
    values = rng.standard_normal((length, *rest))
    values *= 10.0 ** rng.integers(-3, 4)
    if values.size and rng.random() < 0.1:
        values.flat[rng.integers(values.size)] = rng.choice([np.nan, np.inf, -np.inf])
        faults.add(FloatingPointError)
    if length != n or rest != p.shape[1:]:
        faults.add(ValueError)
    dtype = pick(rng, p.dtype, F4, F8, int, bool, object, np.float16)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        values = values.astype(dtype)
    if dtype != p.dtype:
        faults.add(TypeError)
    layout = pick(rng, "C", "F", "strided")
    if layout == "F":
        values = np.asfortranarray(values)
    elif layout == "strided":
        values = np.repeat(values, 2, -1)[..., ::2]
    if not values.flags.c_contiguous:
        faults.add(ValueError)
    if rng.random() < 0.2:
        indices.flags.writeable = values.flags.writeable = False
    return (indices, values), faults


def test_ten_thousand_random_arguments():
    """No crash, nothing but what is documented, and nothing changed by what is refused."""
    rng = np.random.default_rng(12)
    shapes = [(6,), (5, 3), (4, 2, 3), (3, 1), (1, 40)]
    params = {str(shape): rng.standard_normal(shape).astype(DTYPES[i % 2]) for i, shape in enumerate(shapes)}
    opt = fa.ADAGRAD(params=params, learning_rate=0.1)
    oracles = {name: Oracle([p], learning_rate=0.1) for name, p in params.items()}
    updates = dict(opt.get_updates())
    raised, fine = dict.fromkeys(DOCUMENTED, 0), 0
    nothing = {name: fa.Rows(index([]), np.zeros((0, *p.shape[1:]), p.dtype)) for name, p in params.items()}
    for _ in range(10_000):
        name = str(shapes[rng.integers(len(shapes))])
        p, oracle = params[name], oracles[name]
        arguments, faults = random_rows(rng, p)
        if rng.random() < 0.5:
            error = refusal(lambda name=name, arguments=arguments: updates[name](fa.Rows(*arguments)))
        else:
            error = refusal(lambda name=name, arguments=arguments: opt.step({**nothing, name: fa.Rows(*arguments)}))
        if error is None:
            assert not faults, (faults, arguments)
            oracle.step([dense(p, *arguments)])
            fine += 1
        else:
            assert type(error) in faults, (error, faults)
            assert repr(name) in str(error)
            raised[type(error)] += 1
        for each, other in oracles.items():
            assert params[each].tobytes() == other.p[0].tobytes(), each
    for name, oracle in oracles.items():
        assert bits_differ(opt.state[name]["accumulator"], oracle.G[0]) == 0
    assert min(*raised.values(), fine) > 100, (raised, fine)


# --- cost -----------------------------------------------------------------------------------------------------------


def peak_of(step):
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "hyper", [{}, {"max_gradient_norm": 1.0}, {"accumulator": "tensor"}, {"momentum": 0.9}], ids=str
)
@pytest.mark.parametrize("unique", [False, True])
def test_memory_follows_the_rows(hyper, unique):
    rng = np.random.default_rng(13)
    peaks = {}
    for size in (10_000, 1_000_000):
        opt = fa.ADAGRAD(params=np.ones((size, 16), F4), threads=1, **hyper)
        for n in (1, 2000):
            indices = rng.choice(size, n, replace=False)
            if not unique:
                indices[n // 2 :] = indices[: n - n // 2]
            rows = fa.Rows(indices, np.ones((n, 16), F4), assume_unique=unique)
            opt.step(rows)
            peaks[size, n] = peak_of(lambda opt=opt, rows=rows: opt.step(rows))
        del opt
    assert peaks[1_000_000, 1] < 20_000
    assert peaks[1_000_000, 2000] < 4 * 2000 * (16 * 4 + 4 * 8)
    assert peaks[1_000_000, 2000] < 1.2 * peaks[10_000, 2000] + 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory from /proc")
@pytest.mark.parametrize("hyper", [{}, {"max_global_norm": 1.0}, {"accumulator": "tensor"}, {"momentum": 0.9}], ids=str)
def test_a_table_larger_than_what_is_read_of_it(hyper, tmp_path):
    """Also of what compiled code allocates: the pages that a step touches are those of its rows."""
    code = f"""
        import numpy as np, fastadagrad as fa

        def peak():
            return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

        rng = np.random.default_rng(0)
        for shape in ((1000, 64), (4_000_000, 64)):  # a file of 1 GB, all holes
            w = np.memmap({str(tmp_path / "w")!r}, np.float32, "w+", shape=shape)
            opt = fa.ADAGRAD(params=w, learning_rate=1.0, threads=1, **{hyper!r})
            before = peak()
            for _ in range(3):
                rows = fa.Rows(rng.integers(shape[0], size=1000), np.ones((1000, 64), np.float32))
                opt.step(rows)
                got = opt.read_rows("param0", rows.indices)
        assert got.min() < 0
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 300_000  # kB: of a file, the system maps 64 kB around each of the 3,000 rows


# --- inside an iteration --------------------------------------------------------------------------------------------


def regression(kind):
    """Row losses whose gradient is dense, Rows or a scipy matrix; the same numbers in all."""
    target = np.random.default_rng(14).standard_normal((30, 2))

    def loss(params, indices):
        w = params["emb"]
        values = w[indices] - target[indices]
        total = 0.5 * (values**2).sum() / len(indices)
        g = dense(w, indices, values)
        if kind == "rows":
            g = fa.Rows(indices, values)
        elif kind == "scipy":
            g = scipy.sparse.csr_array(g)
        return total, {"emb": g, "b": np.ones(2)}

    return loss


@pytest.mark.parametrize("kind", ["rows", "scipy"])
def test_a_loss_may_return_them(kind):
    found = []
    for each in (kind, "dense"):
        params = {"emb": np.zeros((30, 2)), "b": np.zeros(2)}
        opt = fa.ADAGRAD(regression(each), params, learning_rate=0.3, monitor_gradients=True)
        data = fa.Dataset(np.random.default_rng(15).integers(30, size=200), batch_size=16, rng=1)
        pairs = list(opt.iterate(data, max_epochs=4))
        found.append((pairs, params["emb"].tobytes(), opt.state["emb"]["accumulator"].tobytes(), opt.best, opt.history))
    first, second = found
    assert first[1:3] == second[1:3]
    for mine, other in zip(first[0], second[0], strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a == pytest.approx(b, rel=1e-12)
    assert "grad(emb)" in first[0][0][0]


def test_a_bad_one_from_a_loss_restores_the_best_and_propagates():
    w = np.zeros((3, 2))
    opt = fa.ADAGRAD(lambda p, i: (1.0, fa.Rows(i, np.ones((len(i), 2)))), w, learning_rate=0.1)
    with pytest.raises(IndexError, match="'param0'"):
        opt.minimize([(index([0, 1]),), (index([2]),), (index([3]),)], index([0]), max_epochs=2)
    assert (w == 0).all()
    assert opt.stopped_because == "error"
