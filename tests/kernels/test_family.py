"""Methods beside AdaGrad: every one of them by every property that the library promises."""

import measuring
import numpy as np
import pytest
from family import METHODS, ONE_OF_EACH, VARIANTS, given, optimizer_class, oracle_of, product_of
from oracle import bits_differ, spread
from sparse import set_thresholds, sparse_step

import fastadagrad as fa
from fastadagrad.engine.missed import moves_unnamed
from fastadagrad.kernels.rules import trait
from fastadagrad.optimizer import adaptive

F4 = np.float32
# Of the library's list, so that one without an oracle fails wherever it would be compared with it.
NAMES = [name for name in adaptive.__all__ if name not in ("ADAGRAD", *measuring.METHODS)]
EVERY = pytest.mark.parametrize("name", NAMES)


def assert_equal_bits(opt, name, p, oracle):
    slots = {slot: array for slot, array in opt.state[name].items() if slot != "velocity"}
    assert len(slots) == len(oracle.slots), f"the rule has the slots {[*slots]}, its oracle {len(oracle.slots)}"
    pairs = {"the parameter": (p, oracle.p), **{s: (slots[s], x) for s, x in zip(slots, oracle.slots, strict=True)}}
    if "velocity" in opt.state[name]:
        pairs["the velocity"] = opt.state[name]["velocity"], oracle.v
    other = {what: bits_differ(np.asarray(found), expected) for what, (found, expected) in pairs.items()}
    assert not any(other.values()), (
        f"after {opt.steps} steps the oracle has other bits, in so many elements: {other}. If only from the second "
        "step on, the rule may lack `timed`; if in float32 alone, a literal may stand in its formula, which widens it"
    )


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
    opt = optimizer_class(name)(params=arrays, threads=threads, **hyper)
    for t in range(50):
        gradients = [spread(rng, p.shape, dtype) for p in arrays]
        with np.errstate(all="ignore"):
            opt.step(gradients)
        for oracle, g in zip(oracles, gradients, strict=True):
            oracle.step(g)
        if t in (0, 2, 49):  # later, thresholds that grow no slower than sums leave nothing to see
            for i, (p, oracle) in enumerate(zip(arrays, oracles, strict=True)):
                assert_equal_bits(opt, f"param{i}", p, oracle)


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
    oracle, opt = oracle_of(name, p, **hyper), optimizer_class(name)(params=p, lazy=lazy, **hyper)
    all_move = lazy == "dense" and moves_unnamed(opt._session.engine.settings[0])
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
    oracle, opt = oracle_of(name, p), optimizer_class(name)(params=p)
    if not trait(opt._session.engine.settings[0].form, "rests"):
        with pytest.raises(ValueError, match=f"{name.upper()} changes what it keeps.*lazy='touched' or 'dense'"):
            opt.step(fa.Rows(np.array([1]), np.ones((1, 5), F4)))
        np.testing.assert_array_equal(p, 0)
        return
    for _ in range(5):
        rows, _, dense = sparse_step(rng, p, n=4)
        opt.step(rows)
        oracle.step(dense)
    assert_equal_bits(opt, "param0", p, oracle)


@EVERY
def test_frozen_when_it_was_saved(name, tmp_path):
    """Then it begins, once it is thawed, as it would have without the file."""

    def make():
        p = {"p": np.ones(2), "q": np.full(2, 5.0)}
        return p, optimizer_class(name)(params=p, groups={"q": {"frozen": True}})

    (params, opt), (others, other) = make(), make()
    opt.step({"p": np.ones(2), "q": None})
    opt.save(tmp_path / "file")
    other.load(tmp_path / "file")
    for each in (opt, other):
        each.hyper.groups = {}
        each.step({"p": np.ones(2), "q": np.array([1.0, -1])})
    assert bits_differ(params["q"], others["q"]) == 0
    assert bits_differ(params["p"], others["p"]) == 0
    fresh = optimizer_class(name)(params={"p": np.ones(2), "q": np.full(2, 5.0)})
    if fresh._session.engine.settings[1].form.slots:
        with pytest.raises(ValueError, match="freeze it, load, then thaw it"):
            fresh.load(tmp_path / "file")
    fresh.hyper.groups = {"q": {"frozen": True}}
    fresh.load(tmp_path / "file")
    fresh.hyper.groups = {}
    fresh.step({"p": np.ones(2), "q": np.array([1.0, -1])})
    assert bits_differ(fresh.params["q"], params["q"]) == 0


@EVERY
def test_save_and_load(name, tmp_path):
    def run(steps, load=None, save=None):
        rng = np.random.default_rng(0)
        p = rng.standard_normal((6, 3))
        opt = optimizer_class(name)(params=p)
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
    opt = optimizer_class(name)(params=p)
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
    opt, other = optimizer_class(name)(params=p), optimizer_class(name)(params=q)
    p[...] = 3
    for each in (opt, other):
        each.step(np.array([1.0, -2, 0, 4]))
    assert bits_differ(p, q) == 0


@EVERY
def test_groups(name):
    p, q = np.ones(4), np.ones(4)
    opt = optimizer_class(name)(params={"p": p, "q": q}, groups={"q": {"frozen": True}, "p": {"weight_decay": 0.5}})
    oracle = oracle_of(name, p, weight_decay=0.5)
    for _ in range(3):
        opt.step({"p": np.arange(4.0), "q": None})
        oracle.step(np.arange(4.0))
    assert bits_differ(p, oracle.p) == 0
    np.testing.assert_array_equal(q, 1)


@EVERY
def test_not_finite(name):
    p = np.ones(4)
    opt = optimizer_class(name)(params=p)
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
    oracle, opt = oracle_of(name, p), optimizer_class(name)(params=p)
    [(_, update)] = opt.get_updates()
    for g in np.random.default_rng(1).standard_normal((4, 5)):
        update(*given(name, g))
        oracle.step(g)
    assert bits_differ(p, oracle.p) == 0


@EVERY
def test_in_nopython_loops(name):
    p = np.random.default_rng(0).standard_normal(5)
    oracle, kit = oracle_of(name, p), fa.compiled_update(name.lower() if name != "AdaGradDA" else "adagrad_da")
    slots = kit.slots(p)
    for t, g in enumerate(np.random.default_rng(1).standard_normal((4, 5))):
        if name == "ESGD":
            slots[1][...] = product_of(g)
        kit.update(p, g, slots, kit.scalars(t))
        oracle.step(g)
    assert bits_differ(p, oracle.p) == 0


@EVERY
def test_the_second_step_compiles_nothing(name):
    def compilations():

        return sum(len(d.overloads) for d in dispatchers)

    opt = optimizer_class(name)(params=np.ones(4))
    opt.step(np.ones(4))
    [unit] = opt._session.engine.stepping.units
    dispatchers = [unit._driver.serial, unit._driver.threaded]
    before = compilations()
    for _ in range(3):
        opt.step(np.ones(4))
    optimizer_class(name)(params=np.ones((3, 3))).step(np.ones((3, 3)))
    assert compilations() == before


@EVERY
def test_options_that_do_not_apply(name):
    form = optimizer_class(name)(params=np.ones(2))._session.engine.settings[0].form
    make = optimizer_class(name)
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


@EVERY
def test_every_method_is_found_by_name(name):
    assert type(fa.build(getattr(fa, name).rule.name, params=np.ones(1))) is getattr(fa, name)
    assert getattr(fa.adaptive, name) is getattr(fa, name)


@EVERY
def test_thawed_late(name, tmp_path):
    """A method that counts its steps counts those of the parameter; with a file on the way, too."""
    p, q = np.ones(2), np.full(2, 5.0)
    opt = optimizer_class(name)(params={"p": p, "q": q}, groups={"q": {"frozen": True}})
    for _ in range(4):
        opt.step({"p": np.ones(2), "q": None})
    opt.hyper.groups = {}
    oracle, g = oracle_of(name, q), np.array([1.0, -1])
    for t in range(4):
        if t == 2:
            opt.save(tmp_path / "file")
            q = np.ones(2)
            opt = optimizer_class(name)(params={"p": np.ones(2), "q": q})
            opt.load(tmp_path / "file")
        opt.step({"p": np.ones(2), "q": g})
        oracle.step(g)
        assert bits_differ(q, oracle.p) == 0
    opt.reset()
    assert opt._session.engine.state.late == {}


@EVERY
def test_skipped_steps(name):
    p, q = np.ones(3), np.ones(3)
    opt, other = optimizer_class(name)(params=p, nonfinite="skip"), optimizer_class(name)(params=q)
    for g in ([np.nan, 1, 1], [1.0, 2, 3], [np.inf, 0, 0], [3.0, -1, 1]):
        opt.step(np.array(g))
        if np.isfinite(g).all():
            other.step(np.array(g))
    assert (opt.skipped, opt.steps) == (2, 2)
    assert bits_differ(p, q) == 0


@EVERY
def test_a_refused_first_step_leaves_the_state(name):
    p = np.ones(2)
    opt = optimizer_class(name)(params=p)
    p[...] = 3
    before = {slot: a.copy() for slot, a in opt.state["param0"].items()}
    with pytest.raises(FloatingPointError):
        opt.step(np.array([np.nan, 1]))
    for slot, a in opt.state["param0"].items():
        assert bits_differ(a, before[slot]) == 0


@EVERY
def test_steps_of_all_and_of_one(name):
    """A method that goes by the number of its steps has one count."""
    opt = optimizer_class(name)(params=np.ones(2))
    opt.step(np.ones(2))
    [(_, update)] = opt.get_updates()
    if not trait(opt._session.engine.settings[0].form, "timed"):
        update(*given(name, np.ones(2)))
        return
    with pytest.raises(ValueError, match="step and get_updates count apart"):
        update(*given(name, np.ones(2)))
    opt.reset()
    [(_, update)] = opt.get_updates()
    update(*given(name, np.ones(2)))
    with pytest.raises(ValueError, match="step and get_updates count apart"):
        opt.step(np.ones(2))
