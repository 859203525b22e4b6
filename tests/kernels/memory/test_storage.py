"""A slot may lie in memory in another dtype than its parameter: a rule says which, and nothing else has to know."""

import numpy as np
import pytest
from oracle import bits_differ, ordered_sum, spread
from own_rules import variant

import fastadagrad as fa
from fastadagrad.kernels.memory.storage import AS_COMPUTED, BFLOAT16
from fastadagrad.kernels.rules import adadelta, adagrad
from fastadagrad.optimizer.methods import METHODS

RATE, EPS = np.float32(0.1), np.float32(0.5)
HYPER = {"learning_rate": 0.1, "rms_regularizer": 0.5}


@pytest.fixture
def halved():
    """AdaGrad with its accumulator in sixteen bits."""
    rule = variant(adagrad, name="halved", stored={"accumulator": BFLOAT16})
    fa.register(rule)
    yield rule.name
    del METHODS[rule.name]


def rounded(x):
    """A float32 with eight bits of precision, by a sum that leaves no room for more, ties to even."""
    x = np.asarray(x, np.float32)
    _, exponent = np.frexp(x)
    scale = np.ldexp(np.float64(1), exponent - 8)
    return (np.rint(x / scale) * scale).astype(np.float32)


def numbers(halves):
    assert halves.dtype == np.uint16
    return (halves.astype(np.uint32) << 16).view(np.float32)


def stepped(p, G, g, kind, c=np.float32):
    """AdaGrad as a kernel computes it, with G rounded where it goes to memory; one G of all is read from there."""
    if kind == "element":
        G = G + g * g
    elif kind == "row":
        G = G + np.array([ordered_sum(row) / row.size for row in g]).astype(c)
    else:
        G = rounded(G + c(ordered_sum(g)))
    per_element = G[:, None] if kind == "row" else G
    return p - RATE * g / (np.sqrt(per_element) + EPS), rounded(G)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["element", "row", "tensor"])
def test_dense_gradients(halved, kind, threads):
    rng = np.random.default_rng(5)
    p = rng.standard_normal((700, 30)).astype(np.float32)
    expected, G = p.copy(), np.zeros({"element": p.shape, "row": 700, "tensor": ()}[kind], np.float32)
    opt = fa.build(halved, params=p, accumulator=kind, threads=threads, **HYPER)
    for _ in range(5):
        g = rng.standard_normal(p.shape).astype(np.float32)
        opt.step(g)
        expected, G = stepped(expected, G, g, kind)
        assert not bits_differ(p, expected)
        assert not bits_differ(numbers(opt.state["param0"]["accumulator"]), G)


@pytest.mark.parametrize("kind", ["element", "row", "tensor"])
def test_rows(halved, kind):
    rng = np.random.default_rng(6)
    p = rng.standard_normal((50, 20)).astype(np.float32)
    other = p.copy()
    opt, dense = (
        fa.build(halved, params=array, accumulator=kind, initial_accumulator_value=0.1, **HYPER) for array in (p, other)
    )
    for _ in range(4):
        indices = rng.choice(50, 12, replace=False)
        values, g = rng.standard_normal((12, 20)).astype(np.float32), np.zeros_like(p)
        g[indices] = values
        opt.step(fa.Rows(indices, values))
        dense.step(g)
        assert not bits_differ(p, other)
        assert not bits_differ(*(numbers(each.state["param0"]["accumulator"]) for each in (opt, dense)))


def test_rows_that_lag_behind(halved):
    rng, p = np.random.default_rng(7), np.ones((6, 4), np.float32)
    other = p.copy()
    lagging, all_rows = (fa.build(halved, params=a, l2=0.01, initial_accumulator_value=1, **HYPER) for a in (p, other))
    for row in (1, 3, 1, 5):
        g = np.zeros_like(p)
        g[row] = rng.standard_normal(4)
        lagging.step(fa.Rows(np.array([row]), g[[row]]))
        all_rows.step(g)
    lagging.flush()
    np.testing.assert_allclose(p, other, rtol=1e-5)


def test_begins_resets_saves_and_copies(halved, tmp_path):
    g = np.array([0.3, -2.0, 0.0], np.float32)
    p = np.ones(3, np.float32)
    opt = fa.build(halved, params=p, initial_accumulator_value=0.1, **HYPER)
    begun = np.full(3, rounded(0.1))
    assert not bits_differ(numbers(opt.state["param0"]["accumulator"]), begun)
    opt.step(g)
    opt.save(tmp_path / "opt.npz")
    q = np.zeros(3, np.float32)
    other = fa.build(halved, params=q, initial_accumulator_value=0.1, **HYPER)
    other.load(tmp_path / "opt.npz")
    twin = opt.twin()
    opt.step(g)
    other.step(g)
    twin.step(g)
    assert not bits_differ(p, q)
    assert not bits_differ(p, twin.params["param0"])
    opt.reset()
    assert not bits_differ(numbers(opt.state["param0"]["accumulator"]), begun)


def test_in_a_loop_of_ones_own(halved):
    rng = np.random.default_rng(8)
    p, g = rng.standard_normal(40).astype(np.float32), rng.standard_normal(40).astype(np.float32)
    update = fa.compiled_update(halved, dtype=np.float32, **HYPER)
    slots = update.slots(p)
    expected, G = stepped(p, np.zeros(40, np.float32), g, "element")
    update.update(p, g, slots, update.scalars())
    assert not bits_differ(p, expected)
    assert not bits_differ(numbers(slots[0]), G)


def test_one_of_several_slots_and_a_velocity():
    first, second = adadelta.slots
    fa.register(variant(adadelta, name="half_adadelta", stored={second: BFLOAT16}))
    p = np.ones(5, np.float32)
    opt = fa.build("half_adadelta", params=p, momentum=0.5, nesterov=True)
    g = np.arange(5, dtype=np.float32)
    opt.step(g)
    kept = opt.state["param0"]
    assert {slot: kept[slot].dtype for slot in kept} == {
        first: np.float32,
        second: np.uint16,
        "velocity": np.float32,
    }
    q = np.ones(5, np.float32)
    whole = fa.ADADELTA(params=q, momentum=0.5, nesterov=True)
    whole.step(g)
    assert not bits_differ(p, q)
    assert not bits_differ(numbers(kept[second]), rounded(whole.state["param0"][second]))
    opt.step(g)
    whole.step(g)
    assert bits_differ(p, q)
    del METHODS["half_adadelta"]


def test_numbers_are_rounded_to_the_nearest_and_come_back():
    rng = np.random.default_rng(9)
    values = np.concatenate([spread(rng, 1000, np.float32), np.float32([0, -0.0, np.inf, -np.inf, 1e-40])])
    halves = BFLOAT16.kept(values)
    back = BFLOAT16.numbers(halves)
    normal = np.isfinite(values) & (np.abs(values) > 1e-37)
    assert not bits_differ(back[normal], rounded(values[normal]))
    assert not bits_differ(back[~np.isfinite(values)], values[~np.isfinite(values)])
    np.testing.assert_array_equal(BFLOAT16.kept(back), halves)
    nan = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(BFLOAT16.numbers(BFLOAT16.kept(nan))).all()


def test_parameters_of_another_dtype_are_refused(halved):
    with pytest.raises(
        TypeError, match=r"accumulator of 'param0': bfloat16 is computed with as float32: what is computed in float64"
    ):
        fa.build(halved, params=np.ones(3), **HYPER)


def test_arrays_on_a_gpu_are_refused(halved, gpu):
    with pytest.raises(ValueError, match="works for arrays of the host only"):
        fa.build(halved, params=gpu.array(np.ones(3, np.float32)), **HYPER)


def test_linear_models_refuse_it(halved):
    from fastadagrad.linear import LinearModel

    with pytest.raises(ValueError, match="keeps slots in another dtype than the weights'"):
        LinearModel(method=halved).fit(np.ones((4, 2)), np.array([0, 1, 0, 1]))


@pytest.mark.parametrize("stored", [{"accumulator": np.float16}, {"sum": AS_COMPUTED}, [BFLOAT16]])
def test_a_rule_is_told_what_it_may_say(stored):
    with pytest.raises(TypeError, match="stored must be a dict of some of its slots"):
        fa.register(variant(adagrad, name="wrong", stored=stored))
    assert "wrong" not in METHODS
