"""Steps of rows: the bits of the dense step on `np.add.at(zeros, indices, values)`, at the cost of the rows."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, bits_differ
from sparse import (
    DTYPES,
    F4,
    F8,
    I4,
    I8,
    INDEX_DTYPES,
    OPTIONS,
    PATTERNS,
    SHAPES,
    assert_equal_bits,
    dense,
    refusal,
    set_thresholds,
    snapshot,
    sparse_gradient,
    spread,
)

import fastadagrad as fa

# --- the bits of the dense step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES)
@pytest.mark.parametrize("dtype", [F8, pytest.param(F4, marks=pytest.mark.slow)])
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
@pytest.mark.parametrize("dtype", [F8, pytest.param(F4, marks=pytest.mark.slow)])
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "hyper",
    [
        {},
        *(
            pytest.param(hyper, marks=pytest.mark.slow)
            for hyper in ({"accumulator": "row"}, {"accumulator": "tensor"}, {"momentum": 0.9})
        ),
    ],
    ids=str,
)
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
