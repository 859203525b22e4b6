"""Rows that a gradient does not name: caught up in closed form, left as they are, or stepped like all others."""

import numpy as np
import pytest
import scipy.sparse
from adagrad_options import OPTIONS, assert_equal_bits
from lagging import (
    ACCUMULATORS,
    CLOSED,
    F4,
    F8,
    FIRST_ACCUMULATOR,
    ROWS,
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
    rate,
    result,
    sparse_run,
    start,
    stream,
    touched_step,
)
from oracle import Oracle, bits_differ, spread

import fastadagrad as fa
from fastadagrad.host import place


@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
@pytest.mark.parametrize("option", CLOSED)
def test_float64_is_the_dense_run_up_to_rounding(option, accumulator):
    exact, found = dense_run(option, accumulator, F8), sparse_run(option, accumulator, F8)
    assert_close(found, exact)
    assert found.G.tobytes() == exact.G.tobytes()


@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
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


AMONG_THREADS = {"momentum and decay"}
MORE_SHAPED = ["nesterov", "momentum and decay", "l1, scheduled"]


@pytest.mark.parametrize(
    "option", [x if x in AMONG_THREADS else pytest.param(x, marks=pytest.mark.slow) for x in CLOSED]
)
@pytest.mark.parametrize("accumulator", FIRST_ACCUMULATOR)
def test_threads_change_no_bit(option, accumulator, monkeypatch):
    one = made(hyper_of(option, accumulator), F4, threads=1)
    for name in [name for name in vars(place) if name.endswith("_FROM")]:
        monkeypatch.setattr(place, name, 0)
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
@pytest.mark.parametrize("option", ["elastic net", *(pytest.param(x, marks=pytest.mark.slow) for x in MORE_SHAPED)])
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
@pytest.mark.parametrize("option", OPTIONS)
def test_dense_takes_the_dense_step(option, dtype):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(5)
    params = [rng.standard_normal(shape).astype(dtype) for shape in ((30,), (20, 3), (9, 70), (4, 2, 3))]
    oracle = Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=params, lazy="dense", **hyper)
    for t in range(20):
        given, full = [], []
        for p in params:
            indices = rng.integers(len(p), size=3)
            values = spread(rng, (3, *p.shape[1:]), dtype)
            full.append(np.zeros_like(p))
            np.add.at(full[-1], indices, values)
            given.append(scipy.sparse.csr_array(full[-1]) if p.ndim == 2 and t % 2 else fa.Rows(indices, values))
        opt.step(given)
        oracle.step(full)
        for p, q in zip(params, oracle.p, strict=True):
            assert bits_differ(p, q) == 0
    assert_equal_bits(opt, oracle)


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("shape", [(30,), (20, 3), (9, 70), (4, 2, 3)], ids=str)
def test_touched_leaves_the_others_as_they_are(shape, option, dtype):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(6)
    w = rng.standard_normal(shape).astype(dtype)
    oracle = Oracle([w], **hyper)
    opt = fa.ADAGRAD(params=w, lazy="touched", **hyper)
    for _ in range(40):
        indices = rng.integers(len(w), size=3)
        values = spread(rng, (3, *shape[1:]), dtype)
        g = np.zeros_like(w)
        np.add.at(g, indices, values)
        opt.step(fa.Rows(indices, values))
        touched_step(oracle, g, indices)
        assert bits_differ(w, oracle.p[0]) == 0
    assert_equal_bits(opt, oracle)
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
