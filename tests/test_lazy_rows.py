"""Rows that a gradient does not name: caught up in closed form, left as they are, or stepped like all others.

Errors are measured element by element relative to the largest size that the element has had in the float64 dense run:
a sum has the digits of its largest term, and no more.
"""

import logging
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import test_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle, bits_differ

import fastadagrad as fa
from fastadagrad import engine

F4, F8 = np.float32, np.float64
STEPS, ROWS, WIDTH, NAMED = 3000, 300, 4, 3
ACCUMULATORS = ["element", "row", "tensor"]


def rate(t):
    return 0.05 * (1 + np.cos(t / 50)) / (1 + t / 1000)


CLOSED = {
    "momentum": {"momentum": 0.9},
    "much momentum": {"momentum": 0.999},
    "nesterov": {"momentum": 0.95, "nesterov": True},
    "l1": {"l1": 0.05},
    "l2": {"l2": 0.05},
    "elastic net": {"l1": 0.02, "l2": 0.02},
    "decay": {"decoupled_weight_decay": 0.01},
    "momentum and decay": {"momentum": 0.9, "decoupled_weight_decay": 0.01},
    "nesterov and decay": {"momentum": 0.95, "nesterov": True, "decoupled_weight_decay": 0.01},
    "momentum and decay as strong": {"momentum": 0.9, "decoupled_weight_decay": 2.0},
    "l1 and decay": {"l1": 0.05, "decoupled_weight_decay": 0.01},
    "l2 and decay": {"l2": 0.05, "decoupled_weight_decay": 0.01},
    "elastic net and decay": {"l1": 0.02, "l2": 0.02, "decoupled_weight_decay": 0.01},
    "momentum, scheduled": {"momentum": 0.9, "learning_rate": rate},
    "nesterov, decaying rate": {"momentum": 0.95, "nesterov": True, "lr_decay": 0.001},
    "l1, scheduled": {"l1": 0.05, "learning_rate": rate},
    "l1, decaying rate": {"l1": 0.05, "lr_decay": 0.001},
    "decay, scheduled": {"decoupled_weight_decay": 0.01, "learning_rate": rate},
    "decay, decaying rate": {"decoupled_weight_decay": 0.01, "lr_decay": 0.001},
    "momentum, clipped norm": {"momentum": 0.9, "max_gradient_norm": 2.0},
    "l1, clipped global norm": {"l1": 0.05, "max_global_norm": 2.0},
    "decay, clipped elements": {"decoupled_weight_decay": 0.01, "max_gradient_elem": 1.0},
    "l1, epsilon inside": {"l1": 0.05, "epsilon_inside": True, "rms_regularizer": 1e-2},
    "elastic net, initial accumulator": {"l1": 0.02, "l2": 0.02, "initial_accumulator_value": 0.5},
    "l1, epsilon 0": {"l1": 0.05, "rms_regularizer": 0},
}


def hyper_of(option, accumulator="element"):
    return {"learning_rate": 0.05, "accumulator": accumulator, **CLOSED[option]}


@cache
def start():
    return np.random.default_rng(0).standard_normal((ROWS, WIDTH)).astype(F4)


@cache
def stream(steps=STEPS):
    """(indices, values) of each step, values that float32 has too: all rows but the last ten first, then three each.

    So some rows are named never, some once and then never again.
    """
    rng = np.random.default_rng(1)
    pairs = []
    for t in range(steps):
        indices = rng.integers(ROWS - 20, size=NAMED) if t else np.arange(ROWS - 10)
        values = rng.standard_normal((indices.size, WIDTH)) * 10.0 ** rng.uniform(-1, 1, (indices.size, 1))
        values[rng.random(values.shape) < 0.05] = 0
        pairs.append((indices, values.astype(F4)))
    return pairs


def dense(indices, values, dtype):
    g = np.zeros((ROWS, WIDTH), dtype)
    np.add.at(g, indices, values.astype(dtype))
    return g


def made(hyper, dtype=F8, params=None, **kwargs):
    params = {"emb": start().astype(dtype)} if params is None else params
    return fa.ADAGRAD(params=params, **hyper, **kwargs)


def result(opt, size=None):
    """What the optimizer has got to, `flush` called."""
    opt.flush()
    slots = {slot: a.copy() for slot, a in opt.state["emb"].items()}
    return SimpleNamespace(p=opt.params["emb"].copy(), G=slots["accumulator"], v=slots.get("velocity"), size=size)


def note_size(opt, size):
    """The largest sizes that parameters and velocities have had."""
    np.maximum(size.p, np.abs(opt.params["emb"]), out=size.p)
    if "velocity" in opt.state["emb"]:
        np.maximum(size.v, np.abs(opt.state["emb"]["velocity"]), out=size.v)


def sizes():
    return SimpleNamespace(p=np.zeros((ROWS, WIDTH)), v=np.zeros((ROWS, WIDTH)))


@cache
def dense_run(option, accumulator, dtype):
    opt, size = made(hyper_of(option, accumulator), dtype), sizes()
    for indices, values in stream():
        opt.step({"emb": dense(indices, values, dtype)})
        if dtype is F8:
            note_size(opt, size)
    return result(opt, size)


def sparse_run(option, accumulator, dtype, **kwargs):
    opt = made(hyper_of(option, accumulator), dtype, **kwargs)
    for indices, values in stream():
        opt.step({"emb": fa.Rows(indices, values.astype(dtype))})
    return result(opt)


def error(found, exact, size):
    """Largest, and root mean square."""
    relative = np.abs(found.astype(F8) - exact) / np.where(size == 0, 1, size)
    return relative.max(), np.sqrt((relative**2).mean())


def assert_close(found, exact, tolerance=1e-12):
    """Both float64: p and v within the tolerance, and the accumulator too."""
    assert error(found.p, exact.p, exact.size.p)[0] <= tolerance
    if exact.v is not None:
        assert error(found.v, exact.v, exact.size.v)[0] <= tolerance
    np.testing.assert_allclose(found.G, exact.G, tolerance)


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("option", CLOSED)
def test_float64_is_the_dense_run_up_to_rounding(option, accumulator):
    exact, found = dense_run(option, accumulator, F8), sparse_run(option, accumulator, F8)
    assert_close(found, exact)
    assert found.G.tobytes() == exact.G.tobytes()


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("option", CLOSED)
def test_float32_is_as_near_as_the_float32_dense_run(option, accumulator):
    exact, other = dense_run(option, accumulator, F8), dense_run(option, accumulator, F4)
    found = sparse_run(option, accumulator, F4)
    for slot in ("p", "v") if exact.v is not None else ("p",):
        mine, theirs = (
            error(getattr(x, slot), getattr(exact, slot), getattr(exact.size, slot)) for x in (found, other)
        )
        for a, b in zip(mine, theirs, strict=True):
            assert a <= 2 * b + 4 * np.finfo(F4).eps, slot
    assert found.G.tobytes() == other.G.tobytes()


@pytest.mark.parametrize("accumulator", ["element", "tensor"])
@pytest.mark.parametrize("option", CLOSED)
def test_the_reference_is_the_oracle(option, accumulator):
    hyper = hyper_of(option, accumulator)
    opt, oracle = made(hyper), Oracle([start().astype(F8)], **hyper)
    for indices, values in stream()[:100]:
        opt.step({"emb": dense(indices, values, F8)})
        oracle.step([dense(indices, values, F8)])
    assert bits_differ(opt.params["emb"], oracle.p[0]) == 0


def test_the_options_move_what_is_not_named():
    """By far more than the tolerance, and l1 to zero: or else nothing would have been tested."""
    for option in CLOSED:
        exact = dense_run(option, "element", F8)
        left = fa.ADAGRAD(params=start().astype(F8), **hyper_of(option), lazy="touched")
        for indices, values in stream():
            left.step(fa.Rows(indices, values.astype(F8)))
        moved = np.abs(exact.p - left.params["param0"]).max(1) > 1e-3
        assert moved[: ROWS - 10].mean() > 0.9, option
        assert not hyper_of(option).get("l1") or 0.02 < (exact.p == 0).mean() < 0.98, option


@pytest.mark.parametrize("option", CLOSED)
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_threads_change_no_bit(option, accumulator, monkeypatch):
    one = made(hyper_of(option, accumulator), F4, threads=1)
    for name in [name for name in vars(engine) if name.endswith("_FROM")]:
        monkeypatch.setattr(engine, name, 0)
    two = made(hyper_of(option, accumulator), F4, threads=2)
    for t, (indices, values) in enumerate(stream()[:200]):
        for opt in (one, two):
            opt.step({"emb": fa.Rows(indices, values)})
        if t % 20 == 0:
            some = indices[:7]
            assert one.read_rows("emb", some).tobytes() == two.read_rows("emb", some).tobytes()
    a, b = result(one), result(two)
    assert (a.p.tobytes(), a.G.tobytes()) == (b.p.tobytes(), b.G.tobytes())
    assert (a.v is None and b.v is None) or a.v.tobytes() == b.v.tobytes()


@pytest.mark.parametrize("shape", [(300,), (60, 2, 3), (40, 130), (300, 1), (20, 5000)], ids=str)
@pytest.mark.parametrize("option", ["nesterov", "elastic net", "momentum and decay", "l1, scheduled"])
def test_other_shapes(shape, option):
    for accumulator in ACCUMULATORS:
        rng = np.random.default_rng(2)
        w = rng.standard_normal(shape)
        size, expected = np.abs(w), w.copy()
        lazy, full = (made(hyper_of(option, accumulator), params={"emb": x}) for x in (w, expected))
        for _ in range(60):
            indices = rng.integers(shape[0], size=3)
            values = rng.standard_normal((3, *shape[1:]))
            lazy.step({"emb": fa.Rows(indices, values)})
            g = np.zeros(shape)
            np.add.at(g, indices, values)
            full.step({"emb": g})
            np.maximum(size, np.abs(expected), out=size)
        assert error(lazy.read_rows("emb", np.arange(shape[0])), expected, size)[0] <= 1e-12


# --- what reads the parameters finds them current ---------------------------------------------------------------------


TARGET = np.random.default_rng(3).standard_normal((ROWS, WIDTH))


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("option", CLOSED)
def test_gradients_that_depend_on_rows_read(option, accumulator):
    lazy, full, size = made(hyper_of(option, accumulator)), made(hyper_of(option, accumulator)), sizes()
    for indices, noise in stream()[:1500]:
        read = lazy.read_rows("emb", indices)
        lazy.step({"emb": fa.Rows(indices, read - TARGET[indices] + 0.1 * noise)})
        g = np.zeros((ROWS, WIDTH))
        np.add.at(g, indices, full.params["emb"][indices] - TARGET[indices] + 0.1 * noise)
        full.step({"emb": g})
        note_size(full, size)
    assert_close(result(lazy), result(full, size))


def test_read_rows():
    opt = made(hyper_of("nesterov"))
    w = opt.params["emb"]
    opt.step({"emb": fa.Rows(np.arange(ROWS), np.ones((ROWS, WIDTH)))})
    for _ in range(5):
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, WIDTH)))})
    stale = w[[7, 8]].copy()
    indices = np.array([7, 3, 7, 0], np.int32)
    read = opt.read_rows("emb", indices)
    assert read.shape == (4, WIDTH)
    assert read.dtype == w.dtype
    assert read.tobytes() == w[indices].tobytes()
    assert (read[0] != stale[0]).all()
    assert w[8].tobytes() == stale[1].tobytes()  # nobody asked
    assert opt.read_rows("emb", np.array([7])).tobytes() == read[:1].tobytes()  # nothing twice
    read[...] = 99
    assert (w != 99).all()
    assert opt.read_rows("emb", np.zeros(0, int)).shape == (0, WIDTH)
    opt.flush()
    flushed = w.copy()
    opt.flush()
    assert w.tobytes() == flushed.tobytes()
    assert opt.steps == 6


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("emb", np.array([ROWS])), IndexError),
        (("emb", np.array([0, -1])), IndexError),
        (("emb", np.array([2**32])), IndexError),
        (("emb", np.array([0.0])), TypeError),
        (("emb", np.array([True])), TypeError),
        (("emb", np.array([0], np.uint8)), TypeError),
        (("emb", np.array([[0]])), ValueError),
        (("b", np.array([0])), ValueError),
        (("nobody", np.array([0])), (KeyError, ValueError, TypeError)),
        (("emb", None), (TypeError, ValueError)),
    ],
)
def test_bad_reads_change_nothing(arguments, error):
    opt = fa.ADAGRAD(params={"emb": np.ones((ROWS, 2)), "b": np.ones(())}, momentum=0.9)
    for _ in range(3):
        opt.step({"emb": fa.Rows(np.arange(5), np.ones((5, 2))), "b": np.ones(())})
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, 2))), "b": np.ones(())})
    before = opt.params["emb"].tobytes()
    with pytest.raises(error, match=repr(arguments[0])):
        opt.read_rows(*arguments)
    assert opt.params["emb"].tobytes() == before


@pytest.mark.parametrize("option", ["plain", "row"])
def test_where_nothing_lags_flush_changes_no_bit(option):
    hyper = {"learning_rate": 0.05, **test_bits.OPTIONS[option]}
    opt = made(hyper)
    for indices, values in stream()[:50]:
        opt.step({"emb": fa.Rows(indices, values.astype(F8))})
    before = opt.params["emb"].tobytes()
    opt.flush()
    assert opt.state
    assert opt.read_rows("emb", np.array([1, 0])).tobytes() == opt.params["emb"][[1, 0]].tobytes()
    assert opt.params["emb"].tobytes() == before


def lagging(option="momentum", steps=40, **kwargs):
    """An optimizer whose rows lag behind, and one that has taken the dense steps."""
    lazy, full = (made(hyper_of(option), **kwargs) for _ in range(2))
    go_on(lazy, full, 0, steps)
    return lazy, full


def go_on(lazy, full, begin, end):
    for indices, values in stream()[begin:end]:
        lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": dense(indices, values, F8)})


def assert_current(lazy, full, tolerance=1e-13):
    """The user's own array, without any help."""
    np.testing.assert_allclose(lazy.params["emb"], full.params["emb"], tolerance, tolerance)


def assert_stale(lazy, full):
    assert np.abs(lazy.params["emb"] - full.params["emb"]).max() > 1e-4


@pytest.mark.parametrize("option", ["momentum", "l1", "elastic net and decay", "decay, scheduled"])
@pytest.mark.parametrize(
    "read",
    {
        "flush": lambda opt, path: opt.flush(),
        "state": lambda opt, path: opt.state,
        "save": lambda opt, path: opt.save(path),
        "read_rows": lambda opt, path: opt.read_rows("emb", np.arange(ROWS)),
        "hyper": lambda opt, path: setattr(opt.hyper, "learning_rate", 0.1),
        "lazy": lambda opt, path: setattr(opt.hyper, "lazy", "touched"),
        "a dense step": lambda opt, path: opt.step({"emb": np.zeros((ROWS, WIDTH))}),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_brings_everything_up_to_date(read, option, tmp_path):
    lazy, full = lagging(option)
    assert_stale(lazy, full)
    read[1](lazy, tmp_path / "file")
    if read[0] == "a dense step":
        full.step({"emb": np.zeros((ROWS, WIDTH))})
    assert_current(lazy, full)
    if "velocity" in full.state["emb"]:
        np.testing.assert_allclose(lazy.state["emb"]["velocity"], full.state["emb"]["velocity"], 1e-13, 1e-300)


def squares(params, *batch):
    w = params["emb"]
    return float((w * w).sum()), {"emb": 2 * w}


def test_evaluate_and_monitors():
    w, expected = (start().astype(F8) for _ in range(2))
    lazy, full = (
        fa.ADAGRAD(squares, {"emb": x}, monitors={"sum": lambda p: p["emb"].sum()}, **hyper_of("nesterov"))
        for x in (w, expected)
    )
    go_on(lazy, full, 0, 40)
    assert_stale(lazy, full)
    found, exact = lazy.evaluate(None), full.evaluate(None)
    assert found == pytest.approx(exact, rel=1e-12)
    assert_current(lazy, full)


def test_set_params():
    """The lag goes by the old values: it neither moves the new ones nor gets lost from the velocity."""
    lazy, full = lagging("momentum")
    for opt in (lazy, full):
        opt.set_params({"emb": np.ones((ROWS, WIDTH))})
    assert (lazy.params["emb"] == 1).all()
    lazy.flush()
    assert (lazy.params["emb"] == 1).all()
    go_on(lazy, full, 40, 80)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("bad", [np.ones((ROWS, 2)), np.ones((ROWS, WIDTH), complex)])
def test_refused_targets_change_nothing_that_a_flush_would_not(bad):
    lazy, full = lagging("momentum")
    with pytest.raises((TypeError, ValueError), match="'emb'"):
        lazy.set_params({"emb": bad})
    lazy.flush()
    assert_current(lazy, full)


def test_reset_leaves_the_parameters_as_they_were_to_be():
    lazy, full = lagging("momentum")
    for opt in (lazy, full):
        opt.reset()
    lazy.flush()
    assert_current(lazy, full)
    go_on(lazy, full, 40, 80)
    lazy.flush()
    assert_current(lazy, full)


# --- changes on the way -----------------------------------------------------------------------------------------------


CHANGES = [
    {"momentum": 0.5},
    {"momentum": 0.99, "nesterov": True},
    {"momentum": 0},
    {"learning_rate": 0.2, "l1": 0.1},
    {"learning_rate": rate, "l1": 0.02},
    {"l1": 0.0, "decoupled_weight_decay": 0.1},
    {"learning_rate": 0.1, "momentum": 0.9},
    {"decoupled_weight_decay": 0.0, "lr_decay": 0.01},
    {"momentum": 0, "lr_decay": 0.0, "l2": 0.01},
    {"groups": {"emb": {"l1": 0.03, "l2": 0.0, "max_gradient_norm": 1.0}}},
    {"groups": {}, "l2": 0.0, "momentum": 0.9},
]


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_hyperparameters_may_change_on_the_way(accumulator):
    lazy, full, size = made(hyper_of("momentum", accumulator)), made(hyper_of("momentum", accumulator)), sizes()
    changes = iter(CHANGES)
    for t, (indices, values) in enumerate(stream()):
        if t % 250 == 240:
            change = next(changes, {})
            for opt in (lazy, full):
                opt.hyper.update(**change)
        lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": dense(indices, values, F8)})
        note_size(full, size)
    assert next(changes, None) is None
    assert_close(result(lazy), result(full, size))


def test_a_refused_change_leaves_the_lag():
    lazy, full = lagging("momentum")
    for bad in ({"momentum": 2}, {"l1": 0.1}, {"lazy": "perhaps"}, {"learning_rate": "x"}):
        with pytest.raises((TypeError, ValueError)):
            lazy.hyper.update(**bad)
    go_on(lazy, full, 40, 60)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("option", ["momentum", "elastic net", "momentum and decay", "l1, scheduled"])
def test_dense_gradients_in_between(option, accumulator):
    lazy, full, size = made(hyper_of(option, accumulator)), made(hyper_of(option, accumulator)), sizes()
    for t, (indices, values) in enumerate(stream()):
        g = dense(indices, values, F8)
        if t % 40 == 39 or 1000 < t < 1010:
            g[...] += 0.01
            lazy.step({"emb": g})
        elif t % 3 == 0:
            lazy.step({"emb": scipy.sparse.csr_array(g)})
        else:
            lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": g})
        note_size(full, size)
    assert_close(result(lazy), result(full, size))


def test_skipped_steps_are_no_steps():
    lazy, full, size = (
        made(hyper_of("momentum"), nonfinite="skip"),
        made(hyper_of("momentum"), nonfinite="skip"),
        sizes(),
    )
    for t, (indices, values) in enumerate(stream()[:300]):
        v = values.astype(F8)
        if t % 3 == 1:
            v[0, 0] = np.nan
        lazy.step({"emb": fa.Rows(indices, v)})
        full.step({"emb": dense(indices, v, F8)})
        note_size(full, size)
    assert (lazy.steps, lazy.skipped) == (full.steps, full.skipped) == (200, 100)
    assert_close(result(lazy), result(full, size))


def test_refused_steps_are_no_steps():
    lazy, full = lagging("momentum")
    for rows in (
        fa.Rows(np.array([ROWS]), np.ones((1, WIDTH))),
        fa.Rows(np.array([0]), np.full((1, WIDTH), np.nan)),
        fa.Rows(np.array([0]), np.ones((2, WIDTH))),
    ):
        before = lazy.params["emb"].tobytes()
        with pytest.raises((IndexError, ValueError, FloatingPointError)):
            lazy.step({"emb": rows})
        assert lazy.params["emb"].tobytes() == before
    go_on(lazy, full, 40, 60)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("option", ["momentum", "elastic net", "momentum and decay", "l1, scheduled"])
@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_saved_and_loaded_on_the_way(option, accumulator, tmp_path):
    hyper = hyper_of(option, accumulator)
    opt = made(hyper)
    other = made(hyper, params={"emb": np.zeros((ROWS, WIDTH))})
    for indices, values in stream()[:1000]:
        opt.step({"emb": fa.Rows(indices, values.astype(F8))})
    for indices, values in stream()[100:300]:  # with a lag of its own
        other.step({"emb": fa.Rows(indices, values.astype(F8))})
    opt.save(tmp_path / "file")
    other.load(tmp_path / "file")
    assert other.params["emb"].tobytes() == opt.params["emb"].tobytes()
    for indices, values in stream()[1000:]:
        for each in (opt, other):
            each.step({"emb": fa.Rows(indices, values.astype(F8))})
    first, second = result(opt), result(other)
    assert first.p.tobytes() == second.p.tobytes()
    assert first.G.tobytes() == second.G.tobytes()
    assert first.v is None or first.v.tobytes() == second.v.tobytes()
    assert opt.steps == other.steps == STEPS
    assert_close(first, dense_run(option, accumulator, F8))


def test_a_refused_file_leaves_the_lag(tmp_path):
    lazy, full = lagging("momentum")
    fa.ADAGRAD(params=np.ones(3)).save(tmp_path / "other")
    with pytest.raises(ValueError, match="param0"):
        lazy.load(tmp_path / "other")
    go_on(lazy, full, 40, 60)
    lazy.flush()
    assert_current(lazy, full)


def test_several_parameters_with_dense_ones_and_groups():
    rng = np.random.default_rng(4)
    shapes = {"a": (50, 3), "b": (20,), "c": (5, 5), "d": (40, 2)}
    groups = {
        "a": {"momentum": 0.9},
        "b": {"l1": 0.05, "learning_rate": rate},
        "d": {"momentum": 0.9, "lazy": "touched"},
        "c": {"decoupled_weight_decay": 0.1, "lazy": "dense"},
    }
    begin = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    lazy, full = (
        fa.ADAGRAD(
            params={k: p.copy() for k, p in begin.items()}, learning_rate=0.1, max_global_norm=3.0, groups=groups
        )
        for _ in range(2)
    )
    touched = Oracle([begin["d"]], learning_rate=0.1, momentum=0.9)
    for t in range(300):
        given, dense_ones = {}, {}
        for name, shape in shapes.items():
            indices = rng.integers(shape[0], size=2)
            values = rng.standard_normal((2, *shape[1:]))
            g = dense_ones[name] = np.zeros(shape)
            np.add.at(g, indices, values)
            given[name] = g if name == "c" and t % 2 else fa.Rows(indices, values)
            if name == "d":
                rows_of_d = indices
        lazy.step(given)
        full.step(dense_ones)
        norm = np.sqrt(sum((g**2).sum() for g in dense_ones.values()))
        touched_step(touched, dense_ones["d"] * min(1, 3 / norm), rows_of_d)
    lazy.flush()
    for name in "abc":
        np.testing.assert_allclose(lazy.params[name], full.params[name], 1e-11, 1e-12, err_msg=name)
    np.testing.assert_allclose(lazy.params["d"], touched.p[0], 1e-11, 1e-12)


@pytest.mark.parametrize("option", ["nesterov", "elastic net and decay", "l1, scheduled"])
def test_updates_one_by_one(option):
    lazy, full, size = made(hyper_of(option)), made(hyper_of(option)), sizes()
    [(_, sparse_update)], [(_, dense_update)] = lazy.get_updates(), full.get_updates()
    for t, (indices, values) in enumerate(stream()[:500]):
        g = dense(indices, values, F8)
        sparse_update(g if t % 50 == 49 else fa.Rows(indices, values.astype(F8)))
        dense_update(g)
        note_size(full, size)
    assert sparse_update.steps == dense_update.steps == 500
    assert_close(result(lazy), result(full, size))


operations = st.one_of(
    st.tuples(st.just("rows"), st.lists(st.integers(0, 5), max_size=4)),
    st.tuples(st.just("rows"), st.lists(st.integers(0, 5), max_size=2)),
    st.tuples(st.just("read"), st.lists(st.integers(0, 5), max_size=3)),
    st.tuples(st.sampled_from(["dense", "flush", "state", "reload", "nan", "best", "reset"]), st.none()),
    st.tuples(
        st.just("hyper"),
        st.sampled_from(
            [
                {"momentum": 0.9, "l1": 0.0, "l2": 0.0},
                {"momentum": 0.5, "nesterov": True, "l1": 0.0, "l2": 0.0},
                {"momentum": 0, "l1": 0.1},
                {"momentum": 0, "l1": 0.1, "l2": 0.2},
                {"decoupled_weight_decay": 0.2},
                {"decoupled_weight_decay": 0.0},
                {"learning_rate": 0.3},
                {"lazy": "dense"},
                {"lazy": "exact"},
            ]
        ),
    ),
)


@settings(derandomize=True, deadline=None, max_examples=120)
@given(st.lists(operations, min_size=1, max_size=25), st.sampled_from(ACCUMULATORS), st.integers(0, 10))
def test_any_order_of_events(tmp_path_factory, events, accumulator, seed):
    rng = np.random.default_rng(seed)
    begin = rng.standard_normal((6, 2))
    lazy, full = (
        fa.ADAGRAD(params=begin.copy(), learning_rate=0.1, momentum=0.9, accumulator=accumulator, nonfinite="skip")
        for _ in range(2)
    )
    p, size = full.params["param0"], np.abs(begin)
    path = tmp_path_factory.mktemp("events") / "file"
    for what, detail in events:
        values = rng.standard_normal((len(detail) if what in ("rows", "read") else 6, 2))
        indices = np.array(detail if what in ("rows", "read") else range(6), int)
        if what == "nan":
            values[0, 0] = np.nan
        if what in ("rows", "nan", "dense"):
            g = np.zeros((6, 2))
            np.add.at(g, indices, values)
            lazy.step(g if what == "dense" else fa.Rows(indices, values))
            full.step(g)
        elif what == "read":
            np.testing.assert_allclose(lazy.read_rows("param0", indices), p[indices], 1e-13, 1e-13)
        elif what == "flush":
            lazy.flush()
        elif what == "state":
            for slot, array in lazy.state["param0"].items():
                np.testing.assert_allclose(array, full.state["param0"][slot], 1e-12, 1e-13)
            np.testing.assert_allclose(lazy.params["param0"], p, 1e-13, 1e-13)
        elif what == "reload":
            lazy.save(path)
            lazy.step(fa.Rows(np.array([0, 3]), np.ones((2, 2))))
            lazy.load(path)
        elif what == "best":
            for opt in (lazy, full):
                opt.set_params(np.linspace(-1, 1, 12).reshape(6, 2))
        elif what == "reset":
            for opt in (lazy, full):
                opt.reset()
        else:
            for opt in (lazy, full):
                opt.hyper.update(**detail)
        np.maximum(size, np.abs(p), out=size)
    lazy.flush()
    assert lazy.steps == full.steps
    assert error(lazy.params["param0"], p, size)[0] <= 1e-13


# --- what is refused --------------------------------------------------------------------------------------------------


REFUSED = {
    "weight decay": ({"weight_decay": 0.01}, "weight_decay"),
    "weight decay and momentum": ({"weight_decay": 0.01, "momentum": 0.9}, "weight_decay"),
    "l2, scheduled": ({"l2": 0.1, "learning_rate": rate}, "l2"),
    "l2, decaying rate": ({"l2": 0.1, "lr_decay": 0.1}, "l2"),
    "elastic net, scheduled": ({"l1": 0.1, "l2": 0.1, "learning_rate": rate}, "l2"),
    "momentum and decay, scheduled": (
        {"momentum": 0.9, "decoupled_weight_decay": 0.1, "learning_rate": rate},
        "decoupled_weight_decay",
    ),
    "nesterov and decay, decaying rate": (
        {"momentum": 0.9, "nesterov": True, "decoupled_weight_decay": 0.1, "lr_decay": 0.1},
        "decoupled_weight_decay",
    ),
}


@pytest.mark.parametrize("how", ["for all", "in a group"])
@pytest.mark.parametrize("case", REFUSED)
def test_without_a_closed_form_exact_is_refused_with_the_reason(case, how):
    hyper, reason = REFUSED[case]
    keywords = hyper if how == "for all" else {"groups": {"emb": hyper}}
    opt = fa.ADAGRAD(params={"other": np.ones(2), "emb": np.ones((5, 2))}, **keywords)
    dense_ones = {"other": np.ones(2), "emb": np.ones((5, 2))}
    sparse = {"other": np.ones(2), "emb": fa.Rows(np.array([1]), np.ones((1, 2)))}
    opt.step(dense_ones)
    before = [p.tobytes() for p in opt.params.values()], opt.steps
    for gradient in (sparse, {**sparse, "emb": scipy.sparse.csr_array(np.eye(5, 2))}):
        with pytest.raises(ValueError, match=rf"'emb'[\s\S]*{reason}|{reason}[\s\S]*'emb'") as caught:
            opt.step(gradient)
        assert "lazy" in str(caught.value)
        assert ([p.tobytes() for p in opt.params.values()], opt.steps) == before
    opt.step(dense_ones)
    for lazy in ("touched", "dense"):
        opt.hyper.update(
            **(keywords | {"lazy": lazy} if how == "for all" else {"groups": {"emb": {**hyper, "lazy": lazy}}})
        )
        opt.step(sparse)
    assert opt.steps == 4


def test_what_is_refused_for_one_parameter_is_no_matter_for_another():
    opt = fa.ADAGRAD(
        params={"w": np.ones(3), "emb": np.ones((5, 2))}, groups={"w": {"weight_decay": 0.1}}, momentum=0.9
    )
    opt.step({"w": np.ones(3), "emb": fa.Rows(np.array([1]), np.ones((1, 2)))})
    assert opt.steps == 1


def test_the_lag_from_before_is_caught_up_though_the_new_options_are_refused():
    lazy, full = lagging("momentum")
    for opt in (lazy, full):
        opt.hyper.update(weight_decay=0.01)
    assert_current(lazy, full)
    with pytest.raises(ValueError, match="weight_decay"):
        lazy.step({"emb": fa.Rows(np.array([1]), np.ones((1, WIDTH)))})
    for opt in (lazy, full):
        opt.step({"emb": np.ones((ROWS, WIDTH))})
        opt.hyper.update(weight_decay=0.0)
    go_on(lazy, full, 40, 80)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("bad", ["", "exactly", True, None, 1])
def test_a_bad_lazy(bad):
    with pytest.raises((TypeError, ValueError), match="lazy"):
        fa.ADAGRAD(params=np.ones(3), lazy=bad)
    with pytest.raises((TypeError, ValueError), match="lazy"):
        fa.ADAGRAD(params={"w": np.ones(3)}, groups={"w": {"lazy": bad}})
    assert fa.ADAGRAD(params=np.ones(3)).hyper.lazy == "exact"


# --- the other two ways -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("option", test_bits.OPTIONS)
def test_dense_takes_the_dense_step(option, dtype):
    hyper = {"learning_rate": 0.1, **test_bits.OPTIONS[option]}
    rng = np.random.default_rng(5)
    params = [rng.standard_normal(shape).astype(dtype) for shape in ((30,), (20, 3), (9, 70), (4, 2, 3))]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, lazy="dense", **hyper)
    for t in range(20):
        given, full = [], []
        for p in params:
            indices = rng.integers(len(p), size=3)
            values = test_bits.spread(rng, (3, *p.shape[1:]), dtype)
            full.append(np.zeros_like(p))
            np.add.at(full[-1], indices, values)
            given.append(scipy.sparse.csr_array(full[-1]) if p.ndim == 2 and t % 2 else fa.Rows(indices, values))
        opt.step(given)
        oracle.step(full)
        for p, q in zip(params, oracle.p, strict=True):
            assert bits_differ(p, q) == 0
    test_bits.assert_equal_bits(opt, oracle)


def touched_step(oracle, g, rows):
    """The dense step, all but the rows named put back."""
    others = np.setdiff1d(np.arange(len(g)), rows)
    arrays = [oracle.p[0], oracle.v[0], *([oracle.G[0]] if oracle.G[0].ndim else [])]
    before = [a[others].copy() for a in arrays]
    oracle.step([g])
    for a, old in zip([oracle.p[0], oracle.v[0], oracle.G[0]], before, strict=False):
        a[others] = old


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("option", test_bits.OPTIONS)
@pytest.mark.parametrize("shape", [(30,), (20, 3), (9, 70), (4, 2, 3)], ids=str)
def test_touched_leaves_the_others_as_they_are(shape, option, dtype):
    hyper = {"learning_rate": 0.1, **test_bits.OPTIONS[option]}
    rng = np.random.default_rng(6)
    w = rng.standard_normal(shape).astype(dtype)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, lazy="touched", **hyper)
    for _ in range(40):
        indices = rng.integers(len(w), size=3)
        values = test_bits.spread(rng, (3, *shape[1:]), dtype)
        g = np.zeros_like(w)
        np.add.at(g, indices, values)
        opt.step(fa.Rows(indices, values))
        touched_step(oracle, g, indices)
        assert bits_differ(w, oracle.p[0]) == 0
    test_bits.assert_equal_bits(opt, oracle)
    before = w.tobytes()
    opt.flush()
    assert w.tobytes() == opt.read_rows("param0", np.arange(len(w))).tobytes() == before


def test_from_touched_to_exact_and_back():
    """What was left as it was is not caught up with later."""
    hyper = hyper_of("momentum")
    opt, oracle = made(hyper, lazy="touched"), Oracle([start().astype(F8)], **hyper)
    for t, (indices, values) in enumerate(stream()[:400]):
        if t % 100 == 0 and t:
            opt.hyper.lazy = "touched" if opt.hyper.lazy == "exact" else "exact"
        opt.step({"emb": fa.Rows(indices, values.astype(F8))})
        g = dense(indices, values, F8)
        if opt.hyper.lazy == "touched":
            touched_step(oracle, g, indices)
        else:
            oracle.step([g])
    opt.flush()
    np.testing.assert_allclose(opt.params["emb"], oracle.p[0], 1e-12, 1e-13)
    np.testing.assert_allclose(opt.state["emb"]["velocity"], oracle.v[0], 1e-12, 1e-13)


# --- inside an iteration ----------------------------------------------------------------------------------------------


def pull(seen=None, sparse=True):
    """Rows named by the batch are drawn to their targets; `seen` gets the whole table as the loss has found it."""

    def loss(params, indices):
        w = params["emb"]
        if seen is not None:
            seen.append((indices, w.copy()))
        values = w[indices] - TARGET[indices]
        g = np.zeros_like(w)
        np.add.at(g, indices, values)
        return 0.5 * (values**2).sum() / len(indices), {"emb": fa.Rows(indices, values) if sparse else g}

    return loss


BATCHES = [(np.random.default_rng(i).integers(ROWS, size=5),) for i in range(60)]
ALL = [(np.arange(ROWS),)]


@pytest.mark.parametrize("touches", [None, lambda indices: {"emb": indices}], ids=["all", "touches"])
@pytest.mark.parametrize("option", ["nesterov", "elastic net", "momentum and decay", "l1, scheduled", "decay"])
@pytest.mark.parametrize("call", ["iterate", "minimize"])
def test_a_loss_sees_current_rows(option, touches, call, caplog):
    seen, expected = [], []
    runs = []
    with caplog.at_level(logging.INFO, "fastadagrad"):
        for record, keywords in ((seen, {"touches": touches} if touches else {}), (expected, {"lazy": "dense"})):
            opt = fa.ADAGRAD(
                pull(record), {"emb": start().astype(F8)}, validate_every=2, patience=99, **hyper_of(option)
            )
            run = opt.iterate if call == "iterate" else opt.minimize
            pairs = list(run(BATCHES, ALL, max_epochs=5, **keywords))
            runs.append((opt, pairs))
    told = [record for record in caplog.records if "touches" in record.getMessage()]
    assert len(told) == (0 if touches else 1)
    (lazy, pairs), (full, other_pairs) = runs
    assert lazy.history[-1].valid == pytest.approx(full.history[-1].valid, rel=1e-11)
    if call == "iterate":
        for mine, other in zip(pairs, other_pairs, strict=True):
            assert mine[0] == pytest.approx(other[0], rel=1e-11)
            assert mine[1] == pytest.approx(other[1], rel=1e-11)
    assert_current(lazy, full, 1e-11)
    assert lazy.best.loss == pytest.approx(full.best.loss, rel=1e-11)
    stale = 0
    for (indices, w), (_, exact) in zip(seen, expected, strict=True):
        np.testing.assert_allclose(w[indices], exact[indices], 1e-11, 1e-12)
        stale += np.abs(w - exact).max() > 1e-5
    assert (stale > 50) if touches else (stale == 0)


def test_the_best_is_a_current_one():
    """It gets worse from some epoch on: what is restored is what the dense run restores."""
    found = []
    for lazy in ("exact", "dense"):
        rate_of = lambda t: 0.3 if t < 120 else 3.0  # noqa: E731
        opt = fa.ADAGRAD(pull(), {"emb": np.zeros((ROWS, WIDTH))}, momentum=0.9, learning_rate=rate_of, lazy=lazy)
        opt.minimize(BATCHES, ALL, max_epochs=6, validate_every=1, touches=lambda indices: {"emb": indices})
        found.append((opt.best.epoch, opt.best.loss, opt.params["emb"].copy()))
        assert opt.evaluate(ALL)["loss"] == pytest.approx(opt.best.loss, rel=1e-12)
        opt.step({"emb": fa.Rows(np.array([0]), np.ones((1, WIDTH)))})
        opt.set_params("best")
        assert opt.evaluate(ALL)["loss"] == pytest.approx(opt.best.loss, rel=1e-12)
    assert 0 < found[0][0] < 6
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-11)
    np.testing.assert_allclose(found[0][2], found[1][2], 1e-11, 1e-12)


def test_monitors_and_updates_see_current_values():
    found = []
    for keywords in ({}, {"lazy": "dense"}):
        seen = np.zeros(())
        opt = fa.ADAGRAD(
            pull(),
            {"emb": start().astype(F8)},
            monitors={"all": lambda p, i: np.abs(p["emb"]).sum()},
            updates=[(seen, lambda p, i, seen=seen: seen + np.abs(p["emb"][i]).sum())],
            **hyper_of("nesterov"),
            **keywords,
        )
        found.append((list(opt.iterate(BATCHES, ALL, max_epochs=2, validate_every=1)), float(seen)))
    for mine, other in zip(found[0][0], found[1][0], strict=True):
        assert mine[0] == pytest.approx(other[0], rel=1e-11)
        assert mine[1] == pytest.approx(other[1], rel=1e-11)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-11)


def test_touches_gets_what_the_loss_gets():
    asked = []

    def touches(indices):
        asked.append(indices)
        return {"emb": indices}

    opt = fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, inputs=["i"], **hyper_of("nesterov"))
    opt.minimize([{"i": batch[0], "j": 0} for batch in BATCHES], [{"i": ALL[0][0]}], max_epochs=2, touches=touches)
    assert len(asked) >= 2 * len(BATCHES)
    np.testing.assert_array_equal(asked[0], BATCHES[0][0])


@pytest.mark.parametrize(
    ("touches", "error", "message"),
    [
        ("emb", TypeError, "touches"),
        (["emb"], TypeError, "touches"),
        (lambda indices: {"nobody": indices}, (KeyError, TypeError, ValueError), "nobody"),
        (lambda indices: indices, TypeError, "touches"),
        (lambda indices: {"emb": indices + ROWS}, IndexError, "emb"),
        (lambda indices: {"emb": indices - ROWS}, IndexError, "emb"),
        (lambda indices: {"emb": indices * 1.0}, TypeError, "emb"),
        (lambda indices: {"emb": indices[:, None]}, ValueError, "emb"),
    ],
)
def test_a_bad_touches(touches, error, message):
    opt = fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, **hyper_of("nesterov"))
    with pytest.raises(error, match=message):
        opt.minimize(BATCHES, ALL, max_epochs=1, touches=touches)
    assert opt.steps == 0
    assert opt.params["emb"].tobytes() == start().astype(F8).tobytes()


def test_leaving_and_going_on(tmp_path):
    """Hyperparameters for a run only, a break in its midst, a file, and steps from outside."""
    lazy, full = (fa.ADAGRAD(pull(), {"emb": start().astype(F8)}, learning_rate=0.05) for _ in range(2))
    for opt, keywords in ((lazy, {"touches": lambda i: {"emb": i}}), (full, {"lazy": "dense"})):
        for i, _ in enumerate(opt.iterate(BATCHES, ALL, max_epochs=9, momentum=0.9, validate_every=1, **keywords)):
            if i == 2:
                opt.save(tmp_path / "file")
                break
        opt.load(tmp_path / "file", resume=False)
    go_on(lazy, full, 0, 50)
    for opt, keywords in ((lazy, {"touches": lambda i: {"emb": i}}), (full, {"lazy": "dense"})):
        opt.minimize(BATCHES, ALL, max_epochs=2, l1=0.05, **keywords)
    assert_current(lazy, full, 1e-11)
