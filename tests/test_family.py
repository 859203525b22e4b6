"""Methods beside AdaGrad: every one of them by every property that the library promises."""

import numpy as np
import pytest
from family import METHODS, VARIANTS, oracle_of
from oracle import bits_differ, spread
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.kernels.rules import trait
from fastadagrad.lag import moves_unnamed

F4 = np.float32
EVERY = pytest.mark.parametrize("name", METHODS)
ONE_OF_EACH = {next(iter(variants)) for _, variants in METHODS.values()}


def assert_equal_bits(opt, name, p, oracle):
    assert bits_differ(p, oracle.p) == 0
    slots = [opt.state[name][slot] for slot in opt.state[name] if slot != "velocity"]
    for slot, expected in zip(slots, oracle.slots, strict=True):
        assert bits_differ(np.asarray(slot), expected) == 0
    if "velocity" in opt.state[name]:
        assert bits_differ(opt.state[name]["velocity"], oracle.v) == 0


def case(name, variant, dtype, threads):
    """Threads, float64 and other variants than one of each method are slow ones."""
    quick = dtype is F4 and threads == 1 and variant in ONE_OF_EACH
    marks = [] if quick else pytest.mark.slow
    return pytest.param(name, variant, dtype, threads, marks=marks, id=f"{name}-{variant}-{dtype.__name__}-{threads}")


CASES = [
    *(case(*each, dtype, 1) for each in VARIANTS for dtype in (F4, np.float64)),
    *(case(*each, F4, 2) for each in VARIANTS if each[1] in ONE_OF_EACH),
]


@pytest.mark.parametrize(("name", "variant", "dtype", "threads"), CASES)
def test_bits(name, variant, dtype, threads, monkeypatch):
    """Fifty steps with gradients over 16 orders of magnitude: many tensors at once, of any shape."""
    if threads > 1:
        set_thresholds(monkeypatch)
    hyper = METHODS[name][1][variant]
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in [(), (0,), (5,), (7, 33), (5000,)]]
    oracles = [oracle_of(name, p, **hyper) for p in arrays]
    opt = getattr(fa, name)(params=arrays, threads=threads, **hyper)
    for _ in range(50):
        gradients = [spread(rng, p.shape, dtype) for p in arrays]
        with np.errstate(all="ignore"):
            opt.step(gradients)
        for oracle, g in zip(oracles, gradients, strict=True):
            oracle.step(g)
    for i, (p, oracle) in enumerate(zip(arrays, oracles, strict=True)):
        assert_equal_bits(opt, f"param{i}", p, oracle)


def sparse_step(rng, p, n=9):
    indices = rng.integers(0, len(p), n)
    values = rng.standard_normal((n, *p.shape[1:])).astype(p.dtype)
    dense = np.zeros_like(p)
    np.add.at(dense, indices, values)
    return fa.Rows(indices, values), np.unique(indices), dense


@pytest.mark.parametrize(
    ("name", "variant", "lazy"),
    [
        *(
            pytest.param(*each, "touched", marks=[] if each[1] in ONE_OF_EACH else pytest.mark.slow)
            for each in VARIANTS
        ),
        *(pytest.param(*each, "dense", marks=pytest.mark.slow) for each in VARIANTS if each[1] in ONE_OF_EACH),
    ],
)
def test_rows(name, variant, lazy):
    hyper = METHODS[name][1][variant]
    if hyper.get("max_gradient_norm"):
        hyper = {key: value for key, value in hyper.items() if key != "max_gradient_norm"}
    rng = np.random.default_rng(8)
    p = rng.standard_normal((20, 5)).astype(F4)
    oracle, opt = oracle_of(name, p, **hyper), getattr(fa, name)(params=p, lazy=lazy, **hyper)
    all_move = lazy == "dense" and moves_unnamed(opt.engine.settings[0])
    for _ in range(5):
        rows, named, dense = sparse_step(rng, p)
        opt.step(rows)
        if all_move:
            oracle.step(dense)
        else:
            oracle.step(dense[named], named)
    assert_equal_bits(opt, "param0", p, oracle)


@EVERY
def test_rows_without_a_closed_form(name):
    p = np.ones((4, 2))
    opt = getattr(fa, name)(params=p)
    rows = fa.Rows(np.array([1]), np.ones((1, 2)))
    if trait(opt.engine.settings[0].form, "rests"):
        opt.step(rows)
        return
    with pytest.raises(ValueError, match=f"{name.upper()} changes what it keeps.*lazy='touched' or 'dense'"):
        opt.step(rows)
    np.testing.assert_array_equal(p, 1)


@pytest.mark.parametrize(
    ("hyper", "named"),
    [({"momentum": 0.9, "decoupled_weight_decay": 0.1}, 9), ({"l1": 0.05, "l2": 0.01}, 2)],
    ids=str,
)
def test_rows_of_sgd_are_caught_up(hyper, named):
    rng = np.random.default_rng(3)
    p = rng.standard_normal((20, 5))
    hyper = {"learning_rate": 0.1, **hyper}
    oracle, opt = oracle_of("SGD", p, **hyper), fa.SGD(params=p, **hyper)
    for _ in range(100):
        rows, _, dense = sparse_step(rng, p, n=named)
        opt.step(rows)
        oracle.step(dense)
    opt.flush()
    np.testing.assert_allclose(p, oracle.p, 1e-12, 1e-12 * np.abs(oracle.p).max())
    assert ((p == 0) == (oracle.p == 0)).all()
    assert (p == 0).any() == ("l1" in hyper)


@EVERY
def test_save_and_load(name, tmp_path):
    def run(steps, load=None, save=None):
        rng = np.random.default_rng(0)
        p = rng.standard_normal((6, 3))
        opt = getattr(fa, name)(params=p)
        gradients = rng.standard_normal((20, 6, 3))
        if load:
            opt.load(load)
        for g in gradients[steps]:
            opt.step(g)
        if save:
            opt.save(save)
        return p

    whole = run(slice(0, 20))
    run(slice(0, 7), save=tmp_path / "file")
    assert bits_differ(run(slice(7, 20), load=tmp_path / "file"), whole) == 0


@EVERY
def test_reset(name):
    p = np.arange(5.0)
    opt = getattr(fa, name)(params=p)
    before = p.copy()
    opt.step(np.ones(5))
    after = p.copy()
    p[...] = before
    opt.reset()
    opt.step(np.ones(5))
    assert bits_differ(p, after) == 0


@EVERY
def test_slots_begin_where_the_parameters_are_at_the_first_step(name):
    """Whatever happened to them since the optimizer was made."""
    p, q = np.ones(4), np.full(4, 3.0)
    opt, other = getattr(fa, name)(params=p), getattr(fa, name)(params=q)
    p[...] = 3
    for each in (opt, other):
        each.step(np.array([1.0, -2, 0, 4]))
    assert bits_differ(p, q) == 0


@EVERY
def test_groups(name):
    p, q = np.ones(4), np.ones(4)
    opt = getattr(fa, name)(params={"p": p, "q": q}, groups={"q": {"frozen": True}, "p": {"weight_decay": 0.5}})
    oracle = oracle_of(name, p, weight_decay=0.5)
    for _ in range(3):
        opt.step({"p": np.arange(4.0), "q": None})
        oracle.step(np.arange(4.0))
    assert bits_differ(p, oracle.p) == 0
    np.testing.assert_array_equal(q, 1)


@EVERY
def test_not_finite(name):
    p = np.ones(4)
    opt = getattr(fa, name)(params=p)
    before = {slot: a.copy() for slot, a in opt.state["param0"].items()}
    with pytest.raises(FloatingPointError, match="param0"):
        opt.step(np.array([1, np.nan, 1, 1.0]))
    np.testing.assert_array_equal(p, 1)
    for slot, a in opt.state["param0"].items():
        np.testing.assert_array_equal(a, before[slot])
    opt.hyper.nonfinite = "ignore"
    opt.step(np.array([1, np.nan, 1, 1.0]))
    assert np.isnan(p[1])
    assert np.isfinite(p[[0, 2, 3]]).all()


@EVERY
def test_updates_one_by_one(name):
    p = np.random.default_rng(0).standard_normal(5)
    oracle, opt = oracle_of(name, p), getattr(fa, name)(params=p)
    [(_, update)] = opt.get_updates()
    for g in np.random.default_rng(1).standard_normal((4, 5)):
        update(g)
        oracle.step(g)
    assert bits_differ(p, oracle.p) == 0


@EVERY
def test_in_nopython_loops(name):
    p = np.random.default_rng(0).standard_normal(5)
    oracle, kit = oracle_of(name, p), fa.compiled_update(name.lower() if name != "AdaGradDA" else "adagrad_da")
    slots = kit.slots(p)
    for t, g in enumerate(np.random.default_rng(1).standard_normal((4, 5))):
        kit.update(p, g, slots, kit.scalars(t))
        oracle.step(g)
    assert bits_differ(p, oracle.p) == 0


@EVERY
def test_the_second_step_compiles_nothing(name):
    def compilations():

        return sum(len(d.overloads) for d in dispatchers)

    opt = getattr(fa, name)(params=np.ones(4))
    opt.step(np.ones(4))
    [unit] = opt.engine.plan._units
    dispatchers = [unit._driver.serial, unit._driver.threaded]
    before = compilations()
    for _ in range(3):
        opt.step(np.ones(4))
    fa.build(opt.rule.name, params=np.ones((3, 3))).step(np.ones((3, 3)))
    assert compilations() == before


@EVERY
def test_options_that_do_not_apply(name):
    form = getattr(fa, name)(params=np.ones(2)).engine.settings[0].form
    make = getattr(fa, name)
    with pytest.raises(ValueError, match="keeps a value for each element: accumulator must be 'element'"):
        make(params=np.ones(2), accumulator="row")
    if hasattr(form, "place"):
        for hyper in ({"momentum": 0.5}, {"decoupled_weight_decay": 0.1}, {"l1": 0.1}):
            with pytest.raises(ValueError, match="sets a parameter by its slots"):
                make(params=np.ones(2), **hyper)
    elif not trait(form, "penalised"):
        with pytest.raises(ValueError, match="no metric in which"):
            make(params=np.ones(2), l1=0.1)
    with pytest.raises(TypeError, match="unexpected keyword"):
        make(params=np.ones(2), no_such_thing=1)


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize(("name", "key"), [("RMSProp", "centered"), ("Adam", "amsgrad")])
def test_the_form_is_chosen_before_the_first_step(name, key, value):
    opt = getattr(fa, name)(params=np.ones(2), **{key: not value})
    setattr(opt.hyper, key, value)
    fresh = getattr(fa, name)(params=np.ones(2), **{key: value})
    assert {*opt.state["param0"]} == {*fresh.state["param0"]}
    opt.step(np.ones(2))
    with pytest.raises(ValueError, match=r"mean_square.* so far, .*: choose the form of the method"):
        setattr(opt.hyper, key, not value)
    assert getattr(opt.hyper, key) == value


@EVERY
def test_every_method_is_found_by_name(name):
    assert type(fa.build(getattr(fa, name).rule.name, params=np.ones(1))) is getattr(fa, name)
    assert getattr(fa.adaptive, name) is getattr(fa, name)


def test_a_learning_rate_to_divide_by():
    with pytest.raises(ValueError, match="learning_rate must be above 0: FTRL divides by it"):
        fa.FTRL(params=np.zeros(2), learning_rate=0)
    p = np.zeros(2)
    opt = fa.FTRL(params=p, learning_rate=lambda t: 1.0 - t)
    opt.step(np.ones(2))
    before = p.copy()
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        opt.step(np.ones(2))
    assert bits_differ(p, before) == 0
