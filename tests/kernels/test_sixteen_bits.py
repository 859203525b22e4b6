"""Parameters of 16 bits: a step is the formula in float32, and a parameter is rounded where it is written.

The oracles are those of float32. After each of their steps, the parameters are rounded by the cast of NumPy or, for
bfloat16, by that of ml_dtypes.
"""

import copy
import pickle

import family
import measuring
import numpy as np
import pytest
from adagrad_options import OPTIONS
from oracle import Oracle, bits_differ
from sparse import PATTERNS, dense, set_thresholds

import fastadagrad as fa
from fastadagrad.kernels.finite import all_finite
from fastadagrad.kernels.jit import compiled, jitable
from fastadagrad.kernels.memory.headers import array_at
from fastadagrad.kernels.memory.storage import BFLOAT16, FLOAT16, PRECISIONS, Precision, Storage

F4 = np.float32
STORAGES = {"float16": FLOAT16, "bfloat16": BFLOAT16}
SHAPES = [(), (0,), (5,), (7, 33), (5000,)]
QUICK = ("plain", "all at once", "row, momentum", "tensor", "clipped global norm")
BOTH = pytest.mark.parametrize("name", STORAGES)


def sixteen(name):
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="needs the extra test")
    return np.dtype(name)


def cases(names, quick):
    """Both dtypes with each of these names; those of `quick` are not slow in float16, and the first of all in both."""
    return [
        pytest.param(which, name, marks=[] if name in quick[: 1 if which == "bfloat16" else None] else pytest.mark.slow)
        for which in STORAGES
        for name in names
    ]


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape), dtype)


def wide(array):
    return np.asarray(array, F4)


def as_before(rng, dtype, shapes=SHAPES):
    """Parameters, and the same in float32."""
    arrays = [normal(rng, shape, dtype) for shape in shapes]
    return arrays, [wide(array) for array in arrays]


def same(found, expected):
    return not bits_differ(wide(found), wide(expected))


@pytest.mark.parametrize(("name", "option"), cases(OPTIONS, QUICK))
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_option_of_adagrad(name, option, threads, monkeypatch):
    dtype, rng = sixteen(name), np.random.default_rng(3)
    if threads > 1:
        set_thresholds(monkeypatch)
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    arrays, numbers = as_before(rng, dtype, SHAPES[1:])
    oracle, opt = Oracle(numbers, **hyper), fa.ADAGRAD(params=arrays, threads=threads, **hyper)
    for _ in range(10):
        gradients = [normal(rng, p.shape, dtype) for p in arrays]
        opt.step(gradients)
        oracle.step([wide(g) for g in gradients])
        oracle.p = [wide(p.astype(dtype)) for p in oracle.p]
        for i, p in enumerate(arrays):
            state = opt.state[f"param{i}"]
            assert p.dtype == dtype
            assert {slot.dtype for slot in state.values()} == {np.dtype(F4)}
            assert same(p, oracle.p[i])
            assert same(state["accumulator"], oracle.G[i])
            assert "velocity" not in state or same(state["velocity"], oracle.v[i])


FIRST_VARIANTS = {name: next(iter(variants)) for name, (_, variants) in family.METHODS.items()}


@pytest.mark.parametrize(("name", "method"), cases(FIRST_VARIANTS, ("Adam", "FTRL")))
def test_every_method(name, method):
    dtype, rng = sixteen(name), np.random.default_rng(4)
    hyper = family.METHODS[method][1][FIRST_VARIANTS[method]]
    arrays, numbers = as_before(rng, dtype)
    oracles = [family.oracle_of(method, p, **hyper) for p in numbers]
    opt = family.optimizer_class(method)(params=arrays, **hyper)
    for _ in range(10):
        gradients = [normal(rng, p.shape, dtype) for p in arrays]
        if method == "ESGD":  # the products that belong to these have few bits
            gradients = [np.asarray(np.rint(wide(g)), dtype) for g in gradients]
        opt.step(gradients)
        for oracle, g in zip(oracles, gradients, strict=True):
            oracle.step(wide(g))
            oracle.p = wide(oracle.p.astype(dtype))
    for i, (p, oracle) in enumerate(zip(arrays, oracles, strict=True)):
        assert same(p, oracle.p)
        slots = [slot for name, slot in opt.state[f"param{i}"].items() if name != "velocity"]
        assert all(same(slot, expected) for slot, expected in zip(slots, oracle.slots, strict=True))


@pytest.mark.parametrize(("name", "method"), cases(measuring.METHODS, ("DAdaptAdaGrad",)))
def test_every_method_that_measures(name, method):
    dtype, rng = sixteen(name), np.random.default_rng(5)
    arrays, numbers = as_before(rng, dtype, SHAPES[1:])
    oracle, opt = measuring.METHODS[method][0](numbers), getattr(fa, method)(params=arrays)
    for _ in range(10):
        gradients = [normal(rng, p.shape, dtype) for p in arrays]
        opt.step(gradients)
        oracle.step([wide(g) for g in gradients])
        oracle.p = [wide(p.astype(dtype)) for p in oracle.p]
        assert tuple(opt.learned.values()) == oracle.learned
    assert all(same(p, expected) for p, expected in zip(arrays, oracle.p, strict=True))


@pytest.mark.parametrize(("name", "kind"), cases(("element", "row", "tensor"), ("element", "row", "tensor")))
@pytest.mark.parametrize("pattern", [*PATTERNS])
def test_rows(name, kind, pattern):
    """Values of a row that is named twice are added up in their own dtype, as NumPy adds them."""
    dtype, rng = sixteen(name), np.random.default_rng(6)
    p = normal(rng, (40, 16), dtype)
    oracle = Oracle([wide(p)], learning_rate=0.1, accumulator=kind)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1, accumulator=kind)
    for _ in range(3):
        indices = np.ascontiguousarray(PATTERNS[pattern](rng, len(p)), np.int64)
        values = normal(rng, (indices.size, 16), dtype)
        opt.step(fa.Rows(indices, values))
        oracle.step([wide(dense(p, indices, values))])
        oracle.p = [wide(each.astype(dtype)) for each in oracle.p]
        assert same(p, oracle.p[0])
        assert same(opt.state["param0"]["accumulator"], oracle.G[0])


@pytest.mark.parametrize(("name", "method"), cases(sorted(set(FIRST_VARIANTS) - {"ESGD"}), ("FTRL",)))
def test_rows_of_every_method(name, method):
    """ESGD is left out: its products are dense."""
    dtype, rng = sixteen(name), np.random.default_rng(7)
    p = normal(rng, (20, 5), dtype)
    oracle, opt = family.oracle_of(method, wide(p)), getattr(fa, method)(params=p, lazy="touched")
    for _ in range(4):
        indices = rng.permutation(20)[:7]
        values = normal(rng, (7, 5), dtype)
        opt.step(fa.Rows(indices, values))
        oracle.step(wide(values), indices)
        oracle.p = wide(oracle.p.astype(dtype))
    assert same(p, oracle.p)


@BOTH
def test_rows_that_lag_behind(name):
    """What is read is rounded once, whatever the number of steps that a row has missed."""
    dtype, rng = sixteen(name), np.random.default_rng(8)
    p = normal(rng, (30, 4), dtype)
    before, keep = np.asarray(p, np.float64), 1 - np.float64(0.1 * 0.05)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1, decoupled_weight_decay=0.05)
    for _ in range(9):
        opt.step(fa.Rows(np.array([3]), normal(rng, (1, 4), dtype)))
    np.testing.assert_array_equal(wide(p[4:]), before[4:])
    read = opt.read_rows("param0", np.arange(4, 30))
    assert read.dtype == dtype
    assert same(read, (before[4:] * keep**9).astype(F4).astype(dtype))
    opt.flush()
    assert same(p[:3], (before[:3] * keep**9).astype(F4).astype(dtype))


@BOTH
def test_files_and_copies(name, tmp_path):
    dtype, rng = sixteen(name), np.random.default_rng(9)
    params = {"W": normal(rng, (6, 3), dtype), "b": normal(rng, 3, dtype), "n": normal(rng, (), dtype)}
    opt = fa.Adam(params=params, learning_rate=0.1)
    gradients = [{key: normal(rng, p.shape, dtype) for key, p in params.items()} for _ in range(4)]
    opt.step(gradients[0])
    opt.save(tmp_path / "file")
    loaded = fa.Adam(params={key: np.zeros_like(p) for key, p in params.items()}, learning_rate=0.1)
    loaded.load(tmp_path / "file")
    others = [loaded, opt.twin(), copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))]
    for each in (opt, *others):
        each.step(gradients[1])
        assert all(each.params[key].dtype == dtype and same(each.params[key], p) for key, p in params.items())


@BOTH
def test_a_file_of_another_dtype_is_refused(name, tmp_path):
    dtype = sixteen(name)
    opt = fa.SGD(params=np.ones(3, dtype))
    opt.save(tmp_path / "file")
    for other in ("float32", *STORAGES):
        if other != name:
            opt = fa.SGD(params=np.ones(3, sixteen(other) if other in STORAGES else other))
            with pytest.raises(ValueError, match="'param0' is "):
                opt.load(tmp_path / "file")


@BOTH
def test_assignment_and_buffers(name):
    dtype = sixteen(name)
    p = np.ones(4, dtype)
    opt = fa.SGD(params=p, learning_rate=0.5)
    for values in (np.arange(4), np.arange(4, dtype=dtype), [0, 1, 2, 3]):
        opt.set_params(values)
        assert same(p, np.arange(4))
    with pytest.raises(ValueError, match=f"holds numbers that {dtype} cannot hold"):
        opt.set_params(np.full(4, 1e39))
    opt.gradients[...] = 1
    opt.step()
    assert same(p, np.arange(4) - 0.5)


@BOTH
def test_minimize_converts_gradients(name):
    dtype = sixteen(name)
    w = np.zeros(3, dtype)
    opt = fa.Adam(lambda w: (float(((wide(w) - 2) ** 2).sum()), 2 * (wide(w) - 2)), w, learning_rate=0.1)
    train, _ = opt.minimize(max_epochs=100)
    assert same(w, np.full(3, 2.0))
    assert train["loss"] < 1e-3


@BOTH
def test_products_by_differences(name):
    dtype = sixteen(name)
    w = np.zeros(3, dtype)

    def loss(w):
        return float(((wide(w) - 2) ** 2).sum()), (w - dtype.type(2)) * dtype.type(2)

    # A vector whose number is almost 0 changes a gradient of 16 bits by nothing, and no curvature is seen: of 1,000
    # seeds 28 fail in float16 and 3 in bfloat16, this one in neither.
    opt = fa.ESGD(loss, w, learning_rate=0.5, hv_rng=0)
    assert opt.draw_vectors().dtype == dtype
    opt.minimize(max_epochs=30)
    np.testing.assert_allclose(wide(w), 2, rtol=0.02)


@BOTH
def test_gradients_that_do_not_fit(name):
    dtype = sixteen(name)
    p = np.ones((5, 2), dtype)
    opt = fa.ADAGRAD(params=p)
    with pytest.raises(TypeError, match=f"gradient of 'param0' must have dtype {dtype}, not float32"):
        opt.step(np.ones((5, 2), F4))
    with pytest.raises(TypeError, match=f"values must have dtype {dtype}, not float32"):
        opt.step(fa.Rows(np.array([1]), np.ones((1, 2), F4)))
    for bad in (np.inf, -np.inf, np.nan):
        g = np.ones((5, 2), dtype)
        g[4, 1] = bad
        for gradient in (g, fa.Rows(np.arange(5), g)):
            with pytest.raises(FloatingPointError, match="gradient of 'param0' must be finite"):
                opt.step(gradient)
    assert same(p, np.ones((5, 2)))


@BOTH
def test_matrices_of_scipy_are_refused(name):
    sparse = pytest.importorskip("scipy.sparse")
    opt = fa.ADAGRAD(params=np.ones((3, 3), sixteen(name)))
    with pytest.raises(TypeError, match=f"which scipy.sparse has not of {name}, as its parameter is; pass Rows"):
        opt.step(sparse.eye(3, format="csr", dtype=F4))


def test_arrays_on_a_gpu_are_refused(gpu):
    with pytest.raises(
        ValueError, match=r"float32 or float64 on a GPU, not float16 \(float16 and bfloat16 are taken in"
    ):
        fa.ADAGRAD(params=gpu.array(np.ones(3, np.float16)))


def test_compiled_updates_refuse_it():
    with pytest.raises(TypeError, match="dtype must be float32 or float64, not float16"):
        fa.compiled_update(dtype=np.float16)


@BOTH
def test_every_number_is_loaded_and_the_nearest_is_stored(name):
    dtype, storage, rng = sixteen(name), STORAGES[name], np.random.default_rng(10)
    load, store = storage.load, storage.store

    @compiled
    def load_all(elements, numbers):
        for i in range(elements.size):
            numbers[i] = load(elements, i)

    @compiled
    def store_all(elements, numbers):
        for i in range(elements.size):
            store(elements, i, numbers[i])

    every = np.arange(1 << 16, dtype=np.uint16)
    numbers = np.empty(every.size, F4)
    load_all(every, numbers)
    assert not bits_differ(numbers, wide(every.view(dtype)))
    assert not bits_differ(storage.numbers(every), numbers)
    # All ties, what is next to them, and numbers of any size.
    some = rng.integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    with np.errstate(all="ignore"):
        between = (numbers[1:] + numbers[:-1]) / 2
    around = [np.nextafter(between, F4(end)) for end in (-np.inf, np.inf)]
    given = np.concatenate([some.view(F4), between, *around])
    found = np.empty(given.size, np.uint16)
    store_all(found, given)
    with np.errstate(all="ignore"):
        expected = given.astype(dtype)
    is_nan = np.isnan(given)
    np.testing.assert_array_equal(found[~is_nan], expected.view(np.uint16)[~is_nan])
    assert np.isnan(storage.numbers(found[is_nan])).all()
    np.testing.assert_array_equal(storage.kept(given)[~is_nan], found[~is_nan])


@BOTH
def test_what_is_not_finite_is_found(name):
    dtype = sixteen(name)
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    is_finite = np.isfinite(STORAGES[name].numbers(every.view(np.uint16)))
    finite = every[is_finite]
    assert all_finite(finite)
    for bad in every[~is_finite][::37]:
        assert not all_finite(np.append(finite[:3], bad))


def test_a_further_dtype_is_a_storage_and_an_entry(monkeypatch):
    """Numbers in steps of 1/256, as int16: nothing but the two names it."""
    storage = Storage(
        size=jitable(lambda n, real: 2 * n),
        at=jitable(lambda address, start, n, real: array_at(address + 2 * start, n, np.int16)),
        load=jitable(lambda array, i: np.float32(array[i]) * np.float32(2.0**-8)),
        store=jitable(_store_fixed),
        memory=lambda dtype: np.dtype(np.int16),
        kept=lambda numbers: np.rint(wide(numbers) * 256).astype(np.int16),
        numbers=lambda elements: wide(elements) / 256,
    )
    monkeypatch.setitem(PRECISIONS, "int16", Precision(F4, storage, np.int16, 0x7FFF))
    rng = np.random.default_rng(11)
    p = rng.integers(-500, 500, (40, 5)).astype(np.int16)
    oracle = Oracle([wide(p) / 256], learning_rate=0.1, accumulator="row", l2=0.01)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1, accumulator="row", l2=0.01, lazy="dense")
    origin = fa.DAdaptAdaGrad(params=p.copy()).state["param0"]["origin"]
    assert same(origin, oracle.p[0])
    for step in range(6):
        indices = rng.permutation(40)[:12] if step % 2 else np.arange(40)
        g = np.zeros_like(p)
        g[indices] = rng.integers(-500, 500, (len(indices), 5))
        opt.step(fa.Rows(indices, g[indices]) if step % 2 else g)
        oracle.step([wide(g) / 256])
        oracle.p = [np.rint(oracle.p[0] * F4(256)) / F4(256)]
        assert same(wide(p) / 256, oracle.p[0])
        assert same(opt.state["param0"]["accumulator"], oracle.G[0])


def _store_fixed(array, i, number):
    array[i] = np.int16(np.rint(np.float32(number) * np.float32(256)))
