"""Sparse gradients, scipy matrices among them: what is taken for which gradient, and what is refused."""

import logging
import warnings

import numpy as np
import pytest
import scipy.sparse
from oracle import Oracle, bits_differ
from sparse import (
    DOCUMENTED,
    DTYPES,
    F4,
    F8,
    I4,
    I8,
    INDEX_DTYPES,
    dense,
    refusal,
    snapshot,
)

import fastadagrad as fa

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
HYPERS = [
    {"momentum": 0.9},
    *(
        pytest.param(hyper, marks=pytest.mark.slow)
        for hyper in ({}, {"max_global_norm": 1.0}, {"accumulator": "row", "lazy": "touched", "l2": 0.1})
    ),
]


@pytest.mark.parametrize("hyper", HYPERS, ids=str)
@pytest.mark.parametrize(
    ("case", "unique"),
    [
        (case, unique)
        for case in BAD
        for unique in (False, True)
        if not (unique and ("sum" in case or "cancel" in case))
    ],
)
def test_bad_rows_change_nothing(case, unique, hyper, threads):
    make, error = BAD[case]
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


def test_values_from_a_loss_are_brought_into_form(caplog):
    caplog.set_level(logging.INFO, "fastadagrad")
    indices, values = index([0, 2, 0]), np.arange(6.0).reshape(3, 2)
    found = []
    for given in (values, np.asfortranarray(values), np.repeat(values, 2, 0)[::2], values.astype(F4)):
        w = np.zeros((3, 2))
        fa.ADAGRAD(lambda w, given=given: (1.0, fa.Rows(indices, given)), w).minimize(max_epochs=1)
        found.append(w.tobytes())
    assert len(set(found)) == 1
    assert sum("converted" in record.message for record in caplog.records) == 3
    for bad in (np.ma.array(values), np.ma.array(values.astype(F4)), values.astype(int)):
        with pytest.raises(TypeError, match="'param0'"):
            fa.ADAGRAD(lambda w, bad=bad: (1.0, fa.Rows(indices, bad)), np.zeros((3, 2))).minimize(max_epochs=1)


def test_read_only_indices_compile_nothing_new():
    w = np.zeros((30, 2))
    opt = fa.ADAGRAD(params=w)
    indices = index([5, 1])
    opt.step(fa.Rows(indices, np.ones((2, 2))))
    driver = opt._session.engine.stepping.units[0]._driver.serial
    compiled = len(driver.signatures)
    indices.flags.writeable = False
    opt.step(fa.Rows(indices, np.ones((2, 2))))
    opt.step(fa.Rows(np.frombuffer(indices.tobytes(), I8), np.ones((2, 2)), assume_unique=True))
    assert len(driver.signatures) == compiled
