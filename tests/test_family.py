"""Methods beside AdaGrad: every one of them by every property that the library promises."""

import numpy as np
import pytest
from family import METHODS, VARIANTS, oracle_of
from oracle import bits_differ, spread
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.kernels.rules import trait
from fastadagrad.lag import moves_unnamed
from fastadagrad.row_unit import RowUnit
from fastadagrad.units import Bucket

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
    for t in range(50):
        gradients = [spread(rng, p.shape, dtype) for p in arrays]
        with np.errstate(all="ignore"):
            opt.step(gradients)
        for oracle, g in zip(oracles, gradients, strict=True):
            oracle.step(g)
        if t in (0, 2, 49):  # later, thresholds that grow no slower than sums leave nothing to see
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
    """Those of a method that rests have the bits of the dense one."""
    p, rng = np.zeros((20, 5), F4), np.random.default_rng(0)
    oracle, opt = oracle_of(name, p), getattr(fa, name)(params=p)
    if not trait(opt.engine.settings[0].form, "rests"):
        with pytest.raises(ValueError, match=f"{name.upper()} changes what it keeps.*lazy='touched' or 'dense'"):
            opt.step(fa.Rows(np.array([1]), np.ones((1, 5), F4)))
        np.testing.assert_array_equal(p, 0)
        return
    for _ in range(5):
        rows, _, dense = sparse_step(rng, p, n=4)
        opt.step(rows)
        oracle.step(dense)
    assert_equal_bits(opt, "param0", p, oracle)


@pytest.mark.parametrize(
    ("name", "hyper", "change"),
    [
        ("AdaGradDA", {"learning_rate": 0.5}, {"learning_rate": 0.01}),
        ("FTRL", {"learning_rate": 0.5}, {"ftrl_l1": 0.5}),
        ("COCOB", {"lr_decay": 0.1}, {"cocob_alpha": 1.0}),
    ],
)
def test_rows_are_placed_anew_after_a_change(name, hyper, change):
    """By lazy="exact" as by dense steps, though their own gradients are 0: of hyperparameters, and of the parameter."""
    p, q = np.zeros((5, 1)), np.zeros((5, 1))
    opt, other = getattr(fa, name)(params=p, **hyper), getattr(fa, name)(params=q, **hyper)

    def step(rows, values):
        indices, values = np.array(rows), np.array(values, float).reshape(-1, 1)
        dense = np.zeros_like(q)
        np.add.at(dense, indices, values)
        opt.step(fa.Rows(indices, values))
        other.step(dense)
        assert bits_differ(p, q) == 0

    step([0, 1], [1, -2])
    step([0, 2], [0.5, 1])
    before = p[1].copy()
    for each in (opt, other):
        each.hyper.update(**change)
    step([2], [1])
    assert p[1] != before
    assert isinstance(opt.engine.plan._units[0], Bucket)
    step([0], [1])
    assert isinstance(opt.engine.plan._units[0], RowUnit)
    for each in (opt, other):
        each.set_params(np.full((5, 1), 3.0))
    step([2], [1])
    assert (p < 3).all()


@EVERY
def test_frozen_when_it_was_saved(name, tmp_path):
    """Then it begins, once it is thawed, as it would have without the file."""

    def make():
        p = {"p": np.ones(2), "q": np.full(2, 5.0)}
        return p, getattr(fa, name)(params=p, groups={"q": {"frozen": True}})

    (params, opt), (others, other) = make(), make()
    opt.step({"p": np.ones(2), "q": None})
    opt.save(tmp_path / "file")
    other.load(tmp_path / "file")
    for each in (opt, other):
        each.hyper.groups = {}
        each.step({"p": np.ones(2), "q": np.array([1.0, -1])})
    assert bits_differ(params["q"], others["q"]) == 0
    assert bits_differ(params["p"], others["p"]) == 0
    fresh = getattr(fa, name)(params={"p": np.ones(2), "q": np.full(2, 5.0)})
    if fresh.engine.settings[1].form.slots:
        with pytest.raises(ValueError, match="freeze it, load, then thaw it"):
            fresh.load(tmp_path / "file")
        fresh.hyper.groups = {"q": {"frozen": True}}
    fresh.load(tmp_path / "file")
    fresh.hyper.groups = {}
    fresh.step({"p": np.ones(2), "q": np.array([1.0, -1])})
    assert bits_differ(fresh.params["q"], params["q"]) == 0


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
    with pytest.raises(ValueError, match="no accumulator for rows to share: accumulator must be 'element'"):
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
    with pytest.raises(ValueError, match="learning_rate must be above 0 in float64, not 0: FTRL divides by it"):
        fa.FTRL(params=np.zeros(2), learning_rate=0)
    p = np.zeros(2)
    opt = fa.FTRL(params=p, learning_rate=lambda t: 1.0 - t)
    opt.step(np.ones(2))
    before = p.copy()
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        opt.step(np.ones(2))
    assert bits_differ(p, before) == 0


@EVERY
def test_thawed_late(name, tmp_path):
    """A method that counts its steps counts those of the parameter; with a file on the way, too."""
    p, q = np.ones(2), np.full(2, 5.0)
    opt = getattr(fa, name)(params={"p": p, "q": q}, groups={"q": {"frozen": True}})
    for _ in range(4):
        opt.step({"p": np.ones(2), "q": None})
    opt.hyper.groups = {}
    oracle, g = oracle_of(name, q), np.array([1.0, -1])
    for t in range(4):
        if t == 2:
            opt.save(tmp_path / "file")
            q = np.ones(2)
            opt = getattr(fa, name)(params={"p": np.ones(2), "q": q})
            opt.load(tmp_path / "file")
        opt.step({"p": np.ones(2), "q": g})
        oracle.step(g)
        assert bits_differ(q, oracle.p) == 0
    opt.reset()
    assert opt.engine.state.late == {}


@EVERY
def test_skipped_steps(name):
    p, q = np.ones(3), np.ones(3)
    opt, other = getattr(fa, name)(params=p, nonfinite="skip"), getattr(fa, name)(params=q)
    for g in ([np.nan, 1, 1], [1.0, 2, 3], [np.inf, 0, 0], [3.0, -1, 1]):
        opt.step(np.array(g))
        if np.isfinite(g).all():
            other.step(np.array(g))
    assert (opt.skipped, opt.steps) == (2, 2)
    assert bits_differ(p, q) == 0


@EVERY
def test_a_refused_first_step_leaves_the_state(name):
    p = np.ones(2)
    opt = getattr(fa, name)(params=p)
    p[...] = 3
    before = {slot: a.copy() for slot, a in opt.state["param0"].items()}
    with pytest.raises(FloatingPointError):
        opt.step(np.array([np.nan, 1]))
    for slot, a in opt.state["param0"].items():
        assert bits_differ(a, before[slot]) == 0


@EVERY
def test_steps_of_all_and_of_one(name):
    """A method that goes by the number of its steps has one count."""
    opt = getattr(fa, name)(params=np.ones(2))
    opt.step(np.ones(2))
    [(_, update)] = opt.get_updates()
    if not trait(opt.engine.settings[0].form, "timed"):
        update(np.ones(2))
        return
    with pytest.raises(ValueError, match="step and get_updates count apart"):
        update(np.ones(2))
    opt.reset()
    [(_, update)] = opt.get_updates()
    update(np.ones(2))
    with pytest.raises(ValueError, match="step and get_updates count apart"):
        opt.step(np.ones(2))


@pytest.mark.parametrize(("name", "hyper"), [("RMSProp", {"l1": 0.1}), ("RMSProp", {"l2": 0.1})])
def test_nothing_is_penalised_where_the_denominator_is_0(name, hyper):
    """A variance of 0, of a mean of one gradient."""
    w = np.array([1.0])
    fa.RMSProp(params=w, rms_halflife=0, rms_regularizer=0, **hyper).step(np.array([2.0]))
    np.testing.assert_array_equal(w, 1)


def test_large_gradients_of_cocob():
    w = np.array([1.0], F4)
    opt = fa.COCOB(params=w)
    opt.step(np.array([1e19], F4))
    assert 0.9 < w[0] < 1


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("ADADELTA", {"rms_regularizer": 0}, "rms_regularizer must be above 0: steps begin from it"),
        ("RProp", {"rprop_increase": 0.5}, "rprop_increase at least 1"),
        ("RProp", {"rprop_decrease": 2}, "rprop_decrease must be at most 1"),
        ("RProp", {"rprop_min_step": 5, "rprop_max_step": 1}, "rprop_min_step must be at most rprop_max_step"),
        ("FTRL", {"learning_rate": 1e-50}, "learning_rate must be above 0 in float32, not 1e-50: FTRL divides by it"),
        ("FTRL", {"ftrl_l1": 1e300}, r"threshold is 1e\+300 in FTRL .* use smaller numbers, or float64"),
        ("DoG", {"initial_distance": 0}, "initial_distance must be above 0"),
        ("DAdaptAdaGrad", {"initial_distance": 0}, "initial_distance must be above 0"),
    ],
)
def test_hyperparameters_without_sense(name, hyper, message):
    with pytest.raises(ValueError, match=message):
        getattr(fa, name)(params=np.zeros(2, F4), **hyper)


def test_what_the_state_was_made_by_changes_with_the_next_reset():
    opt = fa.RProp(params=np.ones(2))
    opt.hyper.learning_rate = 0.5
    opt.step(np.ones(2))
    opt.hyper.learning_rate = 0.25
    opt.step(np.zeros(2))
    np.testing.assert_array_equal(opt.state["param0"]["step"], 0.5)
    opt.reset()
    opt.step(np.ones(2))
    np.testing.assert_array_equal(opt.state["param0"]["step"], 0.25)


@pytest.mark.parametrize("name", ["RDA", "AdaGradDA"])
def test_dual_averaging_minimises_what_it_is_defined_by(name):
    """<Z, x> + t*l1*|x| + |x - P|_H^2 / (2a), with H the root of t, or of the squares: no other x near has less."""
    rng, a, l1, e = np.random.default_rng(0), 0.3, 0.2, 1e-8
    start = rng.standard_normal(40)
    p, gradients = np.zeros(40), rng.standard_normal((6, 40))
    p[...] = start
    opt = getattr(fa, name)(params=p, learning_rate=a, rda_l1=l1)
    for t, g in enumerate(gradients, 1):
        opt.step(g)
        Z, squares = gradients[:t].sum(axis=0), np.square(gradients[:t]).sum(axis=0)
        H = np.sqrt(t) if name == "RDA" else np.sqrt(squares) + e

        def objective(x, Z=Z, t=t, H=H):
            return Z * x + t * l1 * np.abs(x - start) + H * np.square(x - start) / (2 * a)

        least = objective(p)
        for step in (-1e-3, 1e-3, -0.1, 0.1):
            assert (objective(p + step) > least).all()
    assert (p == start).any()
    assert (p != start).any()


def test_files_of_another_form(tmp_path):
    for name, key in (("Adam", "amsgrad"), ("RMSProp", "centered")):
        opt = getattr(fa, name)(params=np.ones(2), **{key: True})
        opt.save(tmp_path / "file")
        with pytest.raises(ValueError, match=r"has the slots .* no use for"):
            getattr(fa, name)(params=np.ones(2), **{key: False}).load(tmp_path / "file")
