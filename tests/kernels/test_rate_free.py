"""Methods that measure all parameters before each step: the bits of the plain formula, and what they refuse."""

import tracemalloc

import numpy as np
import pytest
from measuring import METHODS, VARIANTS
from oracle import bits_differ, spread
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.kernels.cpu.statistics import make_measure

F4 = np.float32
EVERY = pytest.mark.parametrize("name", METHODS)
SHAPES = [(), (0,), (5,), (7, 33), (9000,)]
QUICK = {("DoG", "plain", F4), ("DoWG", "momentum", F4), ("DAdaptAdaGrad", "plain", F4)}


def make(name, p, **hyper):
    return getattr(fa, name)(params=p, **hyper)


def assert_equal_bits(opt, params, oracle):
    assert tuple(opt.learned.values()) == oracle.learned
    for i, p in enumerate(params):
        assert bits_differ(p, oracle.p[i]) == 0
        slots = opt.state[f"param{i}"]
        for slot, expected in zip(oracle.slots, oracle.state(i), strict=True):
            assert bits_differ(slots[slot], expected) == 0
        if "velocity" in slots:
            assert bits_differ(slots["velocity"], oracle.v[i]) == 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("name", "variant", "dtype"),
    [
        pytest.param(*each, dtype, marks=[] if (*each, dtype) in QUICK else pytest.mark.slow)
        for each in VARIANTS
        for dtype in (F4, np.float64)
    ],
)
def test_bits(name, variant, dtype, threads, monkeypatch):
    """Fifty steps with gradients over 16 orders of magnitude, of many tensors of any shape."""
    if threads > 1:
        set_thresholds(monkeypatch)
    oracle_class, variants = METHODS[name]
    rng = np.random.default_rng(7)
    params = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    oracle, opt = oracle_class(params, **variants[variant]), make(name, params, threads=threads, **variants[variant])
    for _ in range(50):
        gradients = [spread(rng, p.shape, dtype) for p in params]
        opt.step(gradients)
        oracle.step(gradients)
    assert oracle.learned[0] > 0
    assert_equal_bits(opt, params, oracle)


@EVERY
def test_a_sum_over_all_is_that_of_the_parts_from_left_to_right(name):
    """Parameters that are one in another optimizer give the same step size up to rounding."""
    rng = np.random.default_rng(0)
    whole, g = rng.standard_normal(9), rng.standard_normal((20, 9))
    parts = [whole[:4].copy(), whole[4:].copy()]
    one, two = make(name, whole), make(name, parts)
    for each in g:
        one.step(each)
        two.step([each[:4], each[4:]])
    np.testing.assert_allclose(np.concatenate(parts), whole, 1e-12)
    np.testing.assert_allclose([*two.learned.values()], [*one.learned.values()], 1e-12)


@EVERY
def test_sparse_gradients_are_written_out_or_refused(name):
    rng = np.random.default_rng(0)
    p, indices = rng.standard_normal((6, 2)), np.array([4, 1, 4])
    oracle = METHODS[name][0]([p])
    for lazy in ("exact", "touched"):
        with pytest.raises(ValueError, match=r"'param0' is sparse, but .* measures every element .* lazy='dense'"):
            make(name, p.copy(), lazy=lazy).step(fa.Rows(indices, np.ones((3, 2))))
    opt = make(name, p, lazy="dense")
    for _ in range(5):
        values, dense = rng.standard_normal((3, 2)), np.zeros((6, 2))
        np.add.at(dense, indices, values)
        opt.step(fa.Rows(indices, values))
        oracle.step([dense])
    assert_equal_bits(opt, [p], oracle)


@EVERY
def test_save_load_and_reset(name, tmp_path):
    rng = np.random.default_rng(0)
    gradients, start = rng.standard_normal((8, 4)), rng.standard_normal(4)
    p, q = start.copy(), start.copy()
    opt, other = make(name, p), make(name, q)
    for g in gradients[:4]:
        opt.step(g)
    opt.save(tmp_path / "file")
    other.load(tmp_path / "file")
    assert other.learned == opt.learned
    for g in gradients[4:]:
        opt.step(g)
        other.step(g)
    assert bits_differ(p, q) == 0
    opt.reset()
    assert set(opt.learned.values()) == {0.0}
    p[...] = start
    oracle = METHODS[name][0]([start])
    for g in gradients:
        opt.step(g)
        oracle.step([g])
    assert_equal_bits(opt, [p], oracle)


def test_files_of_a_method_that_learns_less(tmp_path):
    opt = fa.DoG(params=np.ones(2))
    opt.save(tmp_path / "file")
    other = fa.DoG(params=np.ones(2))
    other._session.engine.state.learned = (1.0,)
    with pytest.raises(ValueError, match="holds 2 learned numbers, not 1"):
        other.load(tmp_path / "file")
    assert fa.SGD(params=np.ones(2)).learned == {}


@EVERY
@pytest.mark.parametrize("bad", [np.nan, 1e200], ids=["NaN", "overflow"])
def test_not_finite(name, bad):
    """Of a square that overflows, too, nothing is changed."""
    p, q = np.ones(3), np.ones(2)
    opt = make(name, {"p": p, "q": q})
    with pytest.raises(FloatingPointError, match="gradient of 'q'"):
        opt.step({"p": np.ones(3), "q": np.array([1.0, bad])})
    assert (p == 1).all()
    assert (q == 1).all()
    assert set(opt.learned.values()) == {0.0}
    opt.hyper.nonfinite = "skip"
    opt.step({"p": np.ones(3), "q": np.array([1.0, bad])})
    assert opt.skipped == 1
    assert set(opt.learned.values()) == {0.0}
    opt.step({"p": np.ones(3), "q": np.ones(2)})
    assert (p < 1).all()


@EVERY
def test_what_would_be_learned_must_be_finite(name):
    w = np.array([1.0, np.inf])
    with pytest.raises(FloatingPointError, match=r"gradient of 'param0' must be finite.*or the parameter does"):
        make(name, w).step(np.ones(2)) if name != "DAdaptAdaGrad" else make(name, w).step(np.array([1.0, np.nan]))
    w[1] = 1
    opt = make(name, w, initial_distance=1e200)
    if name != "DoG":
        with pytest.raises(ValueError, match=r"would go by .*inf.*use smaller hyperparameters"):
            opt.step(np.ones(2))
        assert set(opt.learned.values()) == {0.0}


@EVERY
def test_both_dtypes_and_groups_at_once(name):
    """The sums are over all of them."""
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(40).astype(F4), rng.standard_normal(5)]
    oracle, opt = METHODS[name][0](params, max_global_norm=2.0), make(name, params, max_global_norm=2.0)
    for _ in range(4):
        gradients = [rng.standard_normal(40).astype(F4), rng.standard_normal(5)]
        opt.step(gradients)
        oracle.step(gradients)
    assert_equal_bits(opt, params, oracle)


@EVERY
def test_groups_and_schedules(name):
    rng = np.random.default_rng(0)
    p, q, frozen = rng.standard_normal(4), rng.standard_normal(3), np.ones(2)
    oracle = METHODS[name][0]([p, q], lr_decay=0.1)
    groups = {"frozen": {"frozen": True}, "q": {"threads_are": 1}}
    with pytest.raises(TypeError, match="threads_are"):
        make(name, {"p": p, "q": q, "frozen": frozen}, groups=groups)
    hyper = {"learning_rate": lambda t: 1 / (1 + t * 0.1), "groups": {"frozen": {"frozen": True}}}
    opt = make(name, {"p": p, "q": q, "frozen": frozen}, **hyper)
    for _ in range(4):
        g = rng.standard_normal(4), rng.standard_normal(3)
        opt.step({"p": g[0], "q": g[1], "frozen": None})
        oracle.step(g)
    assert tuple(opt.learned.values()) == oracle.learned
    assert bits_differ(p, oracle.p[0]) == bits_differ(q, oracle.p[1]) == 0
    with pytest.raises(ValueError, match="measures all parameters together: groups cannot have their own initial_dist"):
        opt.hyper.groups = {"p": {"initial_distance": 1.0}}
    opt.hyper.groups = {"p": {"learning_rate": 0.5}, "frozen": {"frozen": True}}
    opt.hyper.groups = {name: {"frozen": True} for name in ("p", "q", "frozen")}
    before = dict(opt.learned)
    opt.step({"p": None, "q": None, "frozen": None})
    assert opt.learned == before


@EVERY
def test_what_does_not_apply(name):
    with pytest.raises(ValueError, match="measures all parameters together: call step"):
        make(name, np.ones(2)).get_updates()
    with pytest.raises(ValueError, match="measures all parameters before each step"):
        fa.compiled_update(getattr(fa, name).rule.name)
    for hyper in ({"decoupled_weight_decay": 0.1}, {"l1": 0.1}, {"accumulator": "tensor"}):
        with pytest.raises(
            ValueError, match=r"measures its step size|no metric|sets a parameter|no accumulator for rows"
        ):
            make(name, np.ones(2), **hyper)


@EVERY
def test_no_gradient_at_all_moves_nothing(name):
    p = np.random.default_rng(0).standard_normal(3)
    before, opt = p.copy(), make(name, p, rms_regularizer=0)
    for _ in range(3):
        opt.step(np.zeros(3))
    assert bits_differ(p, before) == 0


@EVERY
def test_finds_its_step_size(name):
    """From a distance a million times as long as the step that it begins with."""
    w = np.zeros(5)
    target = np.array([100.0, -50, 20, 0, 1])
    opt = getattr(fa, name)(lambda w: (np.abs(w - target).sum(), np.sign(w - target)), w, initial_distance=1e-4)
    _, valid = opt.minimize(max_epochs=3000, patience=1000)
    assert valid["loss"] < 0.05 * np.abs(target).sum()


@EVERY
def test_the_second_step_compiles_nothing(name):
    opt = make(name, np.ones(4))
    opt.step(np.ones(4))
    [unit] = opt._session.engine.stepping.units
    pairs = unit._driver, make_measure(unit._form, np.dtype(np.float64))
    before = [len(each.overloads) for pair in pairs for each in (pair.serial, pair.threaded)]
    assert before == [1, 0, 1, 0]
    for _ in range(3):
        opt.step(np.ones(4))
    fa.build(opt.rule.name, params=np.ones((3, 3))).step(np.ones((3, 3)))
    assert [len(each.overloads) for pair in pairs for each in (pair.serial, pair.threaded)] == before


@EVERY
def test_a_step_allocates_nothing_that_grows(name):
    p, g = np.ones(1_000_000, F4), np.ones(1_000_000, F4)
    opt = make(name, p)
    opt.step(g)
    tracemalloc.start()
    opt.step(g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000
