"""Hyperparameters set on the way: at little cost, with the bits of a schedule, and catching up no more than needed."""

import threading
import time
import tracemalloc
from collections import namedtuple
from dataclasses import make_dataclass
from fractions import Fraction

import numpy as np
import plain_rule
import pytest
from lagging import ACCUMULATORS, F4, F8, assert_close, dense, hyper_of, made, note_size, rate, result, sizes, stream
from own_rules import variant
from runs import bowl

import fastadagrad as fa
from fastadagrad.host import missed
from fastadagrad.kernels.rules import COMMON, trait
from fastadagrad.optimizer.methods import METHODS

G = np.random.default_rng(5).standard_normal((60, 10))
SPANNED = {  # what missed steps under changing rates have a closed form with
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.95, "nesterov": True},
    "l1": {"l1": 0.05},
    "decay": {"decoupled_weight_decay": 0.01},
}
UNSPANNED = ["l2", "elastic net", "momentum and decay", "l1 and decay", "elastic net and decay"]


def bits(opt):
    return {name: {slot: a.tobytes() for slot, a in own.items()} for name, own in opt.state.items()} | {
        "params": [a.tobytes() for a in opt.params.values()]
    }


def step_of(opt):
    """What steps a single parameter, of a method that is fed with Hessian-vector products too."""
    if opt.rule.name != "esgd":
        return opt.step
    return lambda g: opt.step(g, products=np.abs(g))


KINDS = {
    "float": float,
    "np.float32": np.float32,
    "np.float64": np.float64,
    "int": lambda x: 1 + round(20 * x),
    "np.int64": lambda x: np.int64(1 + round(20 * x)),
    "array": np.array,
    "fraction": Fraction,
}


SCHEDULES = [
    *(("float", dtype, {}) for dtype in (F4, F8)),
    ("float", F8, {"lr_decay": 0.01}),
    *(
        pytest.param(*schedule, marks=pytest.mark.slow)
        for schedule in (
            *(("float", dtype, {"weight_decay": 0.1, "max_gradient_norm": 1.0}) for dtype in (F4, F8)),
            *((kind, F8, {}) for kind in KINDS if kind != "float"),
        )
    ),
]

MOSTLY_BY_ELEMENT = [name if name == "element" else pytest.param(name, marks=pytest.mark.slow) for name in ACCUMULATORS]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("kind", "dtype", "option"), SCHEDULES)
def test_a_rate_set_before_each_step_is_a_schedule(name, kind, dtype, option):
    given = [KINDS[kind](rate(t)) for t in range(len(G))]
    scheduled, tuned = (
        fa.build(name, params=np.zeros(10, dtype), learning_rate=of, **option) for of in (given.__getitem__, given[0])
    )
    steps = step_of(scheduled), step_of(tuned)
    for t, g in enumerate(G.astype(dtype)):
        if t or name != "rprop":  # which takes its first rate when it is made
            tuned.hyper.learning_rate = given[t]
        for step in steps:
            step(g)
    assert bits(tuned) == bits(scheduled)
    assert tuned.hyper.learning_rate == given[-1]


def outcome(step, *gradients):
    try:
        step(*gradients)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("lazy", ["exact", "touched", "dense"])
@pytest.mark.parametrize("name", METHODS)
def test_a_rate_set_is_a_rate_changed_as_others_are(name, lazy):
    """With gradients of several kinds, also those that are refused, and by updates one by one."""
    given = {"w": np.ones((9, 2)), "b": np.ones(3)}
    opts = [
        fa.build(name, params={n: a.copy() for n, a in given.items()}, learning_rate=rate(0), lazy=lazy)
        for _ in range(2)
    ]
    one_by_one = not trait(opts[0].rule, "measured")
    updates = [dict(opt.get_updates()) if one_by_one else {} for opt in opts]
    rng = np.random.default_rng(8)
    for t in range(40):
        if t == 20:
            for opt in opts:
                opt.reset()
        if t % 4 != 3:
            opts[0].hyper.learning_rate = rate(t)
            opts[1].hyper.update(learning_rate=rate(t))
        w, b = rng.standard_normal((9, 2)), rng.standard_normal(3)
        gradients = {"w": w if t % 3 == 0 else fa.Rows(rng.integers(9, size=2), w[:2]), "b": b}
        products = {"w": abs(w), "b": abs(b)}
        fed = [products] if name == "esgd" else []
        if t < 20 or not one_by_one:
            outcomes = {outcome(opt.step, gradients, *fed) for opt in opts}
        else:
            fed = {n: [products[n]] if fed else [] for n in given}
            outcomes = {tuple(outcome(update[n], gradients[n], *fed[n]) for n in given) for update in updates}
        assert len(outcomes) == 1
    assert bits(opts[0]) == bits(opts[1])


@pytest.mark.parametrize("option", [{"l1": 0.1}, {"l1": 3.0, "l2": 0.2, "decoupled_weight_decay": 0.3}])
@pytest.mark.parametrize("accumulator", ["element", "tensor"])
def test_penalised_in_many_tensors(option, accumulator):
    shapes = {f"p{i}": (3, 4) for i in range(6)} | {"own": (5,), "frozen": (2,)}
    groups = {"own": {"learning_rate": 0.5}, "p0": {"l1": 0.25}, "frozen": {"frozen": True}}
    opts = [
        fa.ADAGRAD(
            params={n: np.ones(shape, F4 if n == "p1" else F8) for n, shape in shapes.items()},
            learning_rate=of,
            accumulator=accumulator,
            groups=groups,
            **option,
        )
        for of in (rate, rate(0))
    ]
    rng = np.random.default_rng(6)
    for t in range(20):
        g = {n: rng.standard_normal(shape).astype(F4 if n == "p1" else F8) for n, shape in shapes.items()}
        opts[1].hyper.learning_rate = rate(t)
        for opt in opts:
            opt.step(g)
    assert bits(opts[0]) == bits(opts[1])


@pytest.mark.parametrize("option", SPANNED)
@pytest.mark.parametrize("accumulator", MOSTLY_BY_ELEMENT)
def test_rows_that_lag_behind_have_the_bits_of_a_schedule(option, accumulator, monkeypatch):
    hyper = {"accumulator": accumulator, **SPANNED[option]}
    scheduled, tuned = made({**hyper, "learning_rate": rate}), made({**hyper, "learning_rate": rate(0)})
    with monkeypatch.context() as patch:
        patch.setattr(missed.HostLagging, "_catch_up_every_row", None)  # nobody is to ask for it
        for t, (indices, values) in enumerate(stream()[:300]):
            tuned.hyper.learning_rate = rate(t)
            rows = fa.Rows(indices, values.astype(F8))
            scheduled.step({"emb": rows})
            tuned.step({"emb": rows})
        assert tuned.params["emb"].tobytes() == scheduled.params["emb"].tobytes()
    one, other = result(tuned), result(scheduled)
    assert one.p.tobytes() == other.p.tobytes()
    assert one.G.tobytes() == other.G.tobytes()


@pytest.mark.parametrize("option", [*SPANNED, *UNSPANNED, "nesterov and decay"])
@pytest.mark.parametrize("accumulator", MOSTLY_BY_ELEMENT)
@pytest.mark.parametrize("every", [1, 70])
def test_rows_that_lag_behind_are_those_of_the_dense_run(option, accumulator, every):
    hyper = hyper_of(option, accumulator) | {"learning_rate": rate(0)}
    lazy, full, size = made(hyper), made(hyper), sizes()
    for t, (indices, values) in enumerate(stream()[:400]):
        if t % every == 0:
            for opt in (lazy, full):
                opt.hyper.learning_rate = rate(t)
        lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": dense(indices, values, F8)})
        note_size(full, size)
    assert_close(result(lazy), result(full, size))


CHANGES = [{"l1": 0.1}, {"learning_rate": 0.3, "l1": 0.02}, {"rms_regularizer": 0.1}, {"patience": 3}, {"l1": 0.2}]


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("many", [False, True])
def test_other_numbers_on_the_way(accumulator, many, monkeypatch):
    if many:
        monkeypatch.setattr(missed, "MANY_STEPS", 8)
    hyper = {"learning_rate": 0.1, "l1": 0.05, "accumulator": accumulator}
    lazy, full, size = made(hyper), made(hyper), sizes()
    for t, (indices, values) in enumerate(stream()[:300]):
        if t % 50 == 49:
            stepping = lazy._session.engine.stepping
            for opt in (lazy, full):
                opt.hyper.update(**CHANGES[t // 50 % len(CHANGES)])
            assert lazy._session.engine.stepping is stepping
        lazy.step({"emb": fa.Rows(indices, values.astype(F8))})
        full.step({"emb": dense(indices, values, F8)})
        note_size(full, size)
    assert_close(result(lazy), result(full, size))


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
def test_a_change_after_very_many_steps_takes_no_memory_for_each(accumulator):
    decay, missed, later = 1e-8, 200_000_000, 1000
    opt = made({"learning_rate": 0.1, "decoupled_weight_decay": decay, "accumulator": accumulator})
    before = opt.params["emb"][5].astype(F8)
    step = {"emb": fa.Rows(np.array([3]), np.ones((1, 4)))}
    opt.step(step)
    opt._session.engine.lags[0]._now = missed  # as if the other steps had been made
    tracemalloc.start()
    try:
        opt.hyper.learning_rate = 0.2
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20
    for _ in range(later):
        opt.step(step)
    left = np.exp(missed * np.log(1 - 0.1 * decay) + later * np.log(1 - 0.2 * decay))
    assert opt.read_rows("emb", np.array([5]))[0] == pytest.approx(before * left, rel=1e-9)


def test_a_rate_too_high_for_rows_under_decay_is_still_refused():
    opt = made({"learning_rate": 0.1, "decoupled_weight_decay": 0.5})
    step = {"emb": fa.Rows(np.array([3]), np.ones((1, 4)))}
    opt.step(step)
    for value in (0.2, 0.3):
        opt.hyper.learning_rate = value
        opt.step(step)
    opt.hyper.learning_rate = 2.0
    with pytest.raises(ValueError, match="must be below 1"):
        opt.step(step)
    opt.hyper.learning_rate = 0.25
    opt.step(step)
    assert opt.steps == 4


@pytest.mark.parametrize("option", [{}, {"l1": 0.1}, {"momentum": 0.5}])
def test_updates_one_by_one_take_the_rate_too(option):
    given = {"w": np.zeros((9, 2)), "b": np.zeros(2)}
    scheduled, tuned = (
        fa.ADAGRAD(params={n: a.copy() for n, a in given.items()}, learning_rate=of, **option) for of in (rate, rate(0))
    )
    updates = [dict(opt.get_updates()) for opt in (scheduled, tuned)]
    rng = np.random.default_rng(7)
    for t in range(12):
        tuned.hyper.learning_rate = rate(t)
        g, rows = rng.standard_normal(2), fa.Rows(rng.integers(9, size=2), rng.standard_normal((2, 2)))
        for update in updates:
            update["b"](g)
            update["w"](rows)
    assert bits(tuned) == bits(scheduled)


@pytest.mark.parametrize(
    ("change", "error"),
    [(-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError), (1e300, ValueError), ("0.1", TypeError)],
)
def test_what_is_refused_changes_nothing(change, error):
    given = {"w": np.zeros(3, F4)}
    opt, other = (
        fa.ADAGRAD(params=given, learning_rate=0.5),
        fa.ADAGRAD(params={"w": np.zeros(3, F4)}, learning_rate=0.5),
    )
    for each in (opt, other):
        each.hyper.learning_rate = 0.25
    with pytest.raises(error, match="learning_rate"):
        opt.hyper.learning_rate = change
    assert opt.hyper.learning_rate == 0.25
    for each in (opt, other):
        each.step({"w": np.ones(3, F4)})
    assert bits(opt) == bits(other)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.array(0.5), 1, 0, 0.5, lambda t: 0.5])
def test_what_a_rate_may_be(value):
    opt = fa.ADAGRAD(params=np.zeros(1), rms_regularizer=0)
    opt.hyper.learning_rate = value
    assert opt.hyper.learning_rate == value
    opt.step(np.ones(1))
    assert opt.params["param0"][0] == -(0.5 if callable(value) else value)
    opt.reset()
    opt.hyper.learning_rate = 0.25
    opt.step(np.ones(1))
    assert opt.params["param0"][0] == -(0.5 if callable(value) else value) - 0.25


@pytest.mark.parametrize("name", METHODS)
def test_after_a_reset_it_is_as_before_the_first_step(name):
    opt = fa.build(name, params=(w := np.ones(3)), learning_rate=0.1)
    g = np.array([0.5, -0.25, 0.0])
    for value in (0.2, 0.1, 0.2):
        opt.hyper.learning_rate = value
        step_of(opt)(g)
    opt.reset()
    w[...] = 1
    fresh = fa.build(name, params=np.ones(3), learning_rate=0.7)
    for value in (0.3, 0.7):
        for each in (opt, fresh):
            each.hyper.learning_rate = value
            step_of(each)(g)
    assert bits(opt) == bits(fresh)


@pytest.mark.parametrize("name", ["ftrl", "adagrad_da"])
def test_rows_are_stepped_alone_again_after_the_one_step_that_places_all(name):
    """Whose parameters the rate places: a new one places them all with the next gradient, whatever it names."""
    opt = fa.build(name, params=(w := np.ones((50, 2))), learning_rate=0.1)
    for value in (0.2, 0.1):
        opt.hyper.learning_rate = value
        opt.step(np.ones((50, 2)))
    rows = fa.Rows(np.array([3]), np.ones((1, 2)))
    for _ in range(2):
        opt.step(rows)
    before = w.copy()
    w[7] = 5  # behind its back
    opt.step(rows)
    assert np.flatnonzero((w != before).any(axis=1)).tolist() == [3, 7]
    assert (w[7] == 5).all()


def test_it_survives_what_plans_anew(tmp_path):
    opt = fa.ADAGRAD(bowl, w := np.zeros(2), learning_rate=0.5, rms_regularizer=0)
    opt.hyper.learning_rate = 0.25
    opt.hyper.momentum = 0.5
    assert (opt.hyper.learning_rate, opt._session.engine.settings[0].options.learning_rate) == (0.25, 0.25)
    opt.hyper.learning_rate = 0.125
    opt.save(tmp_path / "file")
    opt.load(tmp_path / "file")
    assert opt.hyper.learning_rate == 0.125
    opt.step(np.ones(2))
    assert w.tolist() == [-0.125, -0.125]
    opt.hyper.learning_rate = 0.5
    opt.minimize(max_epochs=1)
    assert opt.hyper.learning_rate == 0.5


def half_of_the_rate(hyper, a, t):
    return (a / hyper.divisor,)


def halved_gradient(g, H, own, s):
    return s.half * g, own


HALVED = variant(  # half is the method's own number: that it goes by the rate shows when it is formed without
    plain_rule,
    name="tuning_test",
    Scalars=namedtuple("Scalars", (*COMMON, "half")),
    Hyperparameters=make_dataclass("Hyperparameters", [("divisor", float, 2.0)], frozen=True, kw_only=True),
    scalar_values=half_of_the_rate,
    delta=halved_gradient,
)


@pytest.fixture
def halved():
    fa.register(HALVED)
    yield HALVED.name
    del METHODS[HALVED.name]


def test_a_rule_whose_own_scalars_depend_on_the_rate(halved):
    scheduled, tuned = (fa.build(halved, params=np.zeros(10), learning_rate=of) for of in (rate, rate(0)))
    for t, g in enumerate(G):
        tuned.hyper.learning_rate = rate(t)
        for opt in (scheduled, tuned):
            opt.step(g)
    assert bits(tuned) == bits(scheduled)
    assert tuned._session.engine.settings[0].options.learning_rate == rate(59)


def test_a_rate_too_high_for_a_rule_of_ones_own_is_refused(halved):
    opt = fa.build(halved, params=np.zeros(3, F4), learning_rate=0.5, divisor=1e-3)
    opt.hyper.learning_rate = 0.25
    with pytest.raises(ValueError, match="half"):
        opt.hyper.learning_rate = 1e36
    assert opt.hyper.learning_rate == 0.25
    opt.step(np.ones(3, F4))
    assert opt.params["param0"].tolist() == [-250.0] * 3


def test_from_another_thread():
    opt = fa.ADAGRAD(params=np.zeros(1000), learning_rate=0.1)
    stop = threading.Event()

    def read():
        while not stop.is_set():
            assert opt._session.engine.settings[0].options.learning_rate in (0.1, 0.2)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(2000):
        opt.hyper.learning_rate = (0.1, 0.2)[i % 2]
    stop.set()
    reader.join()
    assert opt.hyper.learning_rate == opt._session.engine.settings[0].options.learning_rate == 0.2
    opt.step(np.ones(1000))
    assert opt.params["param0"][0] == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("name", "kind", "option"),
    [
        *((name, kind, {}) for name in METHODS for kind in ("float", "int", "np.float32", "np.float64")),
        *(("adagrad", "float", option) for option in ({"momentum": 0.9}, {"l1": 0.1, "l2": 0.1}, {"lr_decay": 0.1})),
    ],
)
def test_it_costs_less_than_two_steps_of_adagrad(name, kind, option):
    """Whatever the method: what is slow costs a hundred times as much, so a busy machine does not matter."""
    opts = [fa.build(each, params=np.zeros(10), **more) for each, more in ((name, option), ("adagrad", {}))]
    g, (own_step, unit_step) = np.ones(10), map(step_of, opts)
    given = [KINDS[kind](x) for x in (0.1, 0.2)] * 20

    def seconds(step, rates):
        for opt in opts:  # which would run away with a gradient that no loss forms
            opt.reset()
            opt.params["param0"][...] = 0
        step(g)  # the first rate after that takes more: what is to be written is looked for
        opts[0].hyper.learning_rate = given[0]
        start = time.thread_time()
        for value in rates:
            if value is not None:
                opts[0].hyper.learning_rate = value
            step(g)
        return time.thread_time() - start

    nothing = [None] * len(given)
    turns = [(own_step, given), (own_step, nothing), (unit_step, nothing)]
    for turn in turns:
        seconds(*turn)
    times = [[seconds(*turn) for turn in turns] for _ in range(40)]
    tuned, plain, unit = map(min, zip(*times, strict=True))  # whatever else runs only adds to a time
    assert tuned - plain < 2 * unit + 0.2 * plain  # of which the latter is noise
