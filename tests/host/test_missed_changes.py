"""Rows that lag behind when something changes: hyperparameters, dense steps, files, anything in any order."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from lagging import (
    ACCUMULATORS,
    F8,
    FIRST_ACCUMULATOR,
    ROWS,
    STEPS,
    WIDTH,
    assert_close,
    assert_current,
    dense,
    dense_run,
    error,
    go_on,
    hyper_of,
    lagging,
    made,
    note_size,
    rate,
    result,
    sizes,
    stream,
    touched_step,
)
from oracle import Oracle

import fastadagrad as fa

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


def test_a_change_that_runs_out_of_memory_leaves_the_lag(monkeypatch):
    lazy, full = lagging("decay")

    def allocate(*args):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(type(lazy._session.engine.params.place), "allocate", allocate)
        with pytest.raises(MemoryError):
            lazy.hyper.momentum = 0.9
    go_on(lazy, full, 40, 60)
    lazy.flush()
    assert_current(lazy, full)


@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
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
@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
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
