"""Row-sparse gradients of parameters in a GPU's memory: the bits of the host's steps."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse
from lagging import CLOSED
from oracle import bits_differ, spread
from sparse import OPTIONS, PATTERNS, sparse_gradient

import fastadagrad as fa

F4 = np.float32


def pair(gpu, dtype=F4, shape=(40, 9), seed=2, **hyper):
    """An optimizer on the GPU, its array, and one of the same numbers on the host."""
    p = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    array, hyper = gpu.array(p), {"learning_rate": 0.1, **hyper}
    return fa.ADAGRAD(params=array, **hyper), array, fa.ADAGRAD(params=p, **hyper), p


def on(gpu, indices, values, **kwargs):
    return fa.Rows(gpu.array(indices, read_only=True), gpu.array(values, read_only=True), **kwargs)


def assert_same(opt, array, other, p):
    assert bits_differ(array.numpy(), p) == 0
    for slot, expected in other.state["param0"].items():
        assert bits_differ(opt.state["param0"][slot].to_host(), expected) == 0


def step_both(gpu, opt, other, p, rng, pattern, times=3, index_dtype=np.int64):
    for _ in range(times):
        indices, values = sparse_gradient(rng, p, pattern, index_dtype)
        opt.step(on(gpu, indices, values))
        other.step(fa.Rows(indices, values))


@pytest.mark.parametrize("dtype", [F4, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(gpu, option, dtype):
    rng = np.random.default_rng(3)
    opt, array, other, p = pair(gpu, dtype, **OPTIONS[option])
    step_both(gpu, opt, other, p, rng, "duplicates")
    assert_same(opt, array, other, p)


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern(gpu, pattern, index_dtype):
    rng = np.random.default_rng(4)
    opt, array, other, p = pair(gpu)
    step_both(gpu, opt, other, p, rng, pattern, index_dtype=index_dtype)
    assert_same(opt, array, other, p)


@pytest.mark.parametrize("shape", [(1,), (50,), (40, 1), (3, 300), (6, 3, 5), (0, 3), (4, 0)], ids=str)
def test_shapes(gpu, shape):
    rng = np.random.default_rng(5)
    opt, array, other, p = pair(gpu, shape=shape)
    step_both(gpu, opt, other, p, rng, "empty" if not len(p) else "duplicates")
    assert_same(opt, array, other, p)


@pytest.mark.parametrize("pattern", ["shuffled", "the last", "empty"])
@pytest.mark.parametrize(
    "shape", [pytest.param((4200,), marks=pytest.mark.slow), (70, 300), (5, 9001), (4, 0)], ids=str
)
@pytest.mark.parametrize("hyper", [{"max_gradient_norm": 0.7}, {"accumulator": "tensor"}], ids=str)
def test_sums_over_rows(gpu, hyper, shape, pattern):
    """Rows that share blocks of the order, or reach over several."""
    rng = np.random.default_rng(5)
    opt, array, other, p = pair(gpu, shape=shape, **hyper)
    indices, values = sparse_gradient(rng, p, pattern)
    opt.step(on(gpu, indices, values))
    other.step(fa.Rows(indices, values))
    assert_same(opt, array, other, p)
    if pattern == "shuffled":
        opt.step(on(gpu, indices, values, assume_unique=True))
        other.step(fa.Rows(indices, values))
        assert_same(opt, array, other, p)


def test_the_memory_of_norms_follows_the_rows(interpreter):
    gpu = interpreter
    opt = fa.ADAGRAD(params=gpu.array(np.ones((100_000, 4), F4)), max_global_norm=1.0)
    before = sum(part.size for part in gpu.memory.values())
    opt.step(on(gpu, np.array([7, 99_999, 7]), np.ones((3, 4), F4)))
    assert sum(part.size for part in gpu.memory.values()) - before < 20_000


def test_unique_rows_are_not_sorted(gpu):
    rng = np.random.default_rng(6)
    opt, array, other, p = pair(gpu)
    indices, values = sparse_gradient(rng, p, "shuffled")
    opt.step(on(gpu, indices, values, assume_unique=True))
    other.step(fa.Rows(indices, values))
    assert_same(opt, array, other, p)
    assert gpu.launched[0] == "pack_rows_int64"
    assert len(gpu.launched) == 3, "the check and the update"


MOVING = {
    "momentum": {"momentum": 0.9},
    "nesterov, row": {"momentum": 0.9, "nesterov": True, "accumulator": "row"},
    "decay": {"weight_decay": 0.1, "l1": 0.01},
    "decay, tensor": {"weight_decay": 0.1, "accumulator": "tensor"},
    "decoupled, clipped": {"decoupled_weight_decay": 0.1, "max_gradient_norm": 0.5},
}


@pytest.mark.parametrize("lazy", ["touched", "dense"])
@pytest.mark.parametrize(
    "option", [pytest.param(x, marks=pytest.mark.slow) if x == "nesterov, row" else x for x in MOVING]
)
def test_what_moves_all_rows(gpu, option, lazy):
    rng = np.random.default_rng(7)
    opt, array, other, p = pair(gpu, lazy=lazy, **MOVING[option])
    step_both(gpu, opt, other, p, rng, "duplicates")
    assert_same(opt, array, other, p)


QUICK = [("momentum and decay", "element", F4), ("l1, scheduled", "tensor", F4)]
EXACT = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for case in product(CLOSED, ("element", "row", "tensor"), (F4, np.float64))
]


@pytest.mark.parametrize(("option", "accumulator", "dtype"), EXACT)
def test_exact_is_that_of_the_host(gpu, option, accumulator, dtype):
    """Rows that are caught up have the bits of the CPU's, as both use the same exponentials and logarithms."""
    rng = np.random.default_rng(8)
    opt, array, other, p = pair(gpu, dtype, shape=(30, 4), **{**CLOSED[option], "accumulator": accumulator})
    for t in range(12):
        indices = rng.integers(0, 25, 3) if t else np.arange(25)
        values = spread(rng, (indices.size, 4), dtype)
        opt.step(on(gpu, indices, values))
        other.step(fa.Rows(indices, values))
    opt.flush()
    other.flush()
    assert_same(opt, array, other, p)


def test_without_a_closed_form_exact_is_refused(gpu):
    opt, array, _, p = pair(gpu, weight_decay=0.1)
    with pytest.raises(ValueError, match=r"'param0'.*lazy='exact'.*weight_decay gives a row.*choose lazy='touched'"):
        opt.step(on(gpu, np.array([1]), np.ones((1, 9), F4)))
    assert bits_differ(array.numpy(), p) == 0


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_rows_are_read_up_to_date(gpu, index_dtype):
    opt, array, other, _ = pair(gpu, decoupled_weight_decay=0.5)
    for one, rows in ((opt, on), (other, lambda _, *parts: fa.Rows(*parts))):
        one.step(rows(gpu, np.array([3]), np.ones((1, 9), F4)))
    stale = array.numpy().copy()
    some = np.array([7, 3, 7, 0], index_dtype)
    read = opt.read_rows("param0", gpu.array(some))
    assert bits_differ(read.to_host(), other.read_rows("param0", some)) == 0
    assert gpu.holds(read.address)
    changed = (array.numpy() != stale).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [0, 7]
    with pytest.raises(IndexError, match="rows of 'param0': indices: number 1 is 40"):
        opt.read_rows("param0", gpu.array(np.array([0, 40])))
    with pytest.raises(TypeError, match="indices must be a device array"):
        opt.read_rows("param0", some)
    assert opt.read_rows("param0", gpu.array(some[:0])).shape == (0, 9)


def test_a_dense_step_and_a_change_of_hyperparameters_catch_up_first(gpu):
    rng = np.random.default_rng(9)
    opt, array, other, p = pair(gpu, momentum=0.5)
    step_both(gpu, opt, other, p, rng, "duplicates", 2)
    g = spread(rng, p.shape, p.dtype)
    opt.step(gpu.array(g))
    other.step(g)
    step_both(gpu, opt, other, p, rng, "duplicates", 2)
    opt.hyper.momentum = other.hyper.momentum = 0.25
    step_both(gpu, opt, other, p, rng, "duplicates", 2)
    opt.flush()
    other.flush()
    assert_same(opt, array, other, p)


def test_touches_and_monitors(gpu):
    """A loss on the GPU that reads rows, with their gradients' norms."""
    results = []
    for there in (True, False):
        p, target = np.ones((30, 2)), np.arange(60.0).reshape(30, 2)
        table = gpu.array(p) if there else p
        place = gpu.array if there else np.asarray

        def loss(w, rows, there=there, place=place, target=target):
            error = (w.numpy() if there else w)[rows] - target[rows]
            return (error**2).sum(), fa.Rows(place(rows), place(2 * error))

        batches = [(np.random.default_rng(i).integers(0, 30, 4),) for i in range(3)]
        opt = fa.ADAGRAD(loss, table, learning_rate=0.5, momentum=0.5, monitor_gradients=True)
        opt.minimize(batches, max_epochs=2, touches=lambda rows, place=place: {"param0": place(rows)}, validate_every=1)
        results.append((opt.history, table.numpy() if there else p))
    (history, found), (expected_history, expected) = results
    np.testing.assert_allclose(found, expected, 1e-12)
    for a, b in zip(history, expected_history, strict=True):
        assert a.train == pytest.approx(b.train, rel=1e-12)


def test_dense_and_sparse_in_turn_and_together(gpu):
    rng = np.random.default_rng(8)
    params = {"a": np.ones((20, 3), F4), "b": np.ones(5, F4), "c": np.ones((10, 2))}
    arrays = {name: gpu.array(p) for name, p in params.items()}
    hyper = {"learning_rate": 0.1, "max_global_norm": 2.0}
    opt, other = fa.ADAGRAD(params=arrays, **hyper), fa.ADAGRAD(params=params, **hyper)
    for kinds in ("rows", "dense", "rows"):
        host, device = {}, {}
        for name, p in params.items():
            host[name] = spread(rng, p.shape, p.dtype)
            device[name] = gpu.array(host[name])
        if kinds == "rows":
            for name in ("a", "c"):
                indices, values = sparse_gradient(rng, params[name], "duplicates")
                host[name], device[name] = fa.Rows(indices, values), on(gpu, indices, values)
        opt.step(device)
        other.step(host)
    for name, p in params.items():
        assert bits_differ(arrays[name].numpy(), p) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, np.finfo(F4).max])
def test_not_finite(gpu, value):
    """Also a sum of repeated rows that overflows."""
    opt, array, _, p = pair(gpu)
    values = np.ones((2, 9), F4)
    values[:, 3] = value
    with pytest.raises(FloatingPointError, match="gradient of 'param0' must be finite"):
        opt.step(on(gpu, np.array([5, 5]), values))
    assert bits_differ(array.numpy(), p) == 0


@pytest.mark.parametrize("width", [8, 9, 300])
@pytest.mark.parametrize("unique", [True, False])
def test_one_number_of_many_rows_is_not_finite(gpu, width, unique):
    """Of several rows and of long ones, whichever it is: by elements and by vectors."""
    opt, array, _, p = pair(gpu, shape=(40, width))
    indices = np.array([5, 39, 0, 17])
    for row, j in ((0, 0), (1, width - 1), (3, width - 1), (2, width // 2)):
        values = np.ones((4, width), F4)
        values[row, j] = np.inf
        with pytest.raises(FloatingPointError, match="gradient of 'param0' must be finite"):
            opt.step(on(gpu, indices, values, assume_unique=unique))
    assert bits_differ(array.numpy(), p) == 0


@pytest.mark.parametrize("accumulator", ["element", "row"])
@pytest.mark.parametrize(("of_table", "of_values"), [(0, 0), (4, 0), (0, 8), (16, 16)])
def test_rows_that_begin_anywhere(gpu, of_table, of_values, accumulator):
    """In memory behind a multiple of 16 bytes or at one."""
    rng, options = np.random.default_rng(3), {"learning_rate": 0.1, "momentum": 0.9, "accumulator": accumulator}
    p, values = spread(rng, (40, 8), F4), spread(rng, (30, 8), F4)
    array, indices = gpu.array(p, offset=of_table), rng.integers(0, 40, 30)
    opt, other = (fa.ADAGRAD(params=each, lazy="touched", **options) for each in (array, p))
    for _ in range(2):
        opt.step(fa.Rows(gpu.array(indices), gpu.array(values, offset=of_values)))
        other.step(fa.Rows(indices, values))
    assert_same(opt, array, other, p)


@pytest.mark.parametrize("unique", [True, False])
def test_a_step_that_is_broken_off_leaves_no_mark(interpreter, monkeypatch, unique):
    """Of an index of no row, which the host would have looked at next."""
    opt, array, other, p = pair(interpreter)
    indices, ones = np.array([1]), np.ones((1, 9), F4)
    with monkeypatch.context() as patch:
        patch.setattr(interpreter, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opt.step(on(interpreter, np.array([40]), ones, assume_unique=unique))
    opt.step(on(interpreter, indices, ones, assume_unique=unique))
    other.step(fa.Rows(indices, ones))
    assert_same(opt, array, other, p)


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_an_infinite_accumulator_is_told_of_at_the_next_step(gpu):
    opt, *_ = pair(gpu)
    gradient = on(gpu, np.array([3]), np.full((1, 9), 1e30, F4))
    opt.step(gradient)
    with pytest.warns(RuntimeWarning, match="accumulator of 'param0' has become infinite"):
        opt.step(gradient)


@pytest.mark.parametrize("numbers", [[1, 40], [-1, 3], [3, -(2**31)], [10**12, 1]], ids=str)
@pytest.mark.parametrize("unique", [True, False])
def test_a_row_that_there_is_not(gpu, numbers, unique):
    opt, array, _, p = pair(gpu, nonfinite="ignore")
    bad = next(place for place, number in enumerate(numbers) if not 0 <= number < 40)
    with pytest.raises(IndexError, match=rf"'param0': indices: number {bad} is {numbers[bad]}, but there are rows 0"):
        opt.step(on(gpu, np.array(numbers), np.ones((2, 9), F4), assume_unique=unique))
    assert bits_differ(array.numpy(), p) == 0
    opt.step(on(gpu, np.array([1]), np.ones((1, 9), F4)))


ONES = np.ones((2, 9), F4)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda gpu: fa.Rows(np.array([1, 2]), gpu.array(ONES)), TypeError, "indices must be a device array"),
        (lambda gpu: fa.Rows(gpu.array(np.array([1, 2])), ONES), TypeError, "values must be a device array"),
        (lambda gpu: on(gpu, np.array([1.0, 2.0]), ONES), TypeError, "indices must have dtype int32 or int64"),
        (lambda gpu: on(gpu, np.array([1, 2], np.uint32), ONES), TypeError, "indices must have dtype int32 or int64"),
        (lambda gpu: on(gpu, np.array([[1], [2]]), ONES), ValueError, "indices must have one dimension"),
        (lambda gpu: on(gpu, np.array([1, 2, 3]), ONES), ValueError, r"values must have shape \(3, 9\)"),
        (lambda gpu: on(gpu, np.array([1, 2]), ONES.astype(float)), TypeError, "values must have dtype float32"),
        (lambda gpu: scipy.sparse.csr_array(np.ones((40, 9), F4)), TypeError, "scipy.sparse matrices are the host's"),
        (lambda gpu: fa.Rows(np.array([1, 2]), ONES), TypeError, "indices must be a device array"),
    ],
    ids=["host indices", "host values", "float", "unsigned", "2-d", "length", "dtype", "matrix", "host"],
)
def test_rows_that_do_not_fit(gpu, make, error, words):
    opt, array, _, p = pair(gpu)
    with pytest.raises(error, match=words):
        opt.step(make(gpu))
    assert bits_differ(array.numpy(), p) == 0
    assert not gpu.launched


def test_no_rows_of_a_number(gpu):
    opt = fa.ADAGRAD(params=gpu.array(np.ones((), F4)))
    with pytest.raises(ValueError, match="0-dimensional and has no rows"):
        opt.step(on(gpu, np.array([0]), np.ones(1, F4)))


def test_values_that_are_the_parameter(gpu):
    opt, array, *_ = pair(gpu, shape=(2, 9))
    with pytest.raises(ValueError, match=r"its values\) overlaps"):
        opt.step(fa.Rows(gpu.array(np.array([0, 1])), array))
