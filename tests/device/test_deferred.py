"""Steps of which the GPU decides whether they are made, while the host goes on."""

import numpy as np
import pytest
from oracle import Oracle, bits_differ
from pairs import F4

import fastadagrad as fa
from fastadagrad.device.deferred import Deferred

SHAPES = {"one": [(70,)], "many": [(70,), (3, 5), (0,), (4100,)], "empty": [(0,)]}


@pytest.fixture
def lags(monkeypatch):
    """A GPU that gets to its work only when it is waited for."""
    monkeypatch.setattr(Deferred, "left_some_out", False)


def make(gpu, shapes=SHAPES["many"], dtype=F4, offset=0, **hyper):
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    arrays = [gpu.array(p, offset=offset) for p in params]
    hyper = {"learning_rate": 0.1, **hyper}
    return fa.ADAGRAD(params=arrays, deferred=True, **hyper), arrays, Oracle(params, learning_rate=0.1), rng


def gradients_of(rng, arrays, bad=None, at=-1):
    found = [rng.standard_normal(a.shape).astype(a.dtype) for a in arrays]
    if bad is not None:
        found[bad].reshape(-1)[at] = np.nan
    return found


def on(gpu, gradients):
    return [gpu.array(g) for g in gradients]


def assert_equal_bits(opt, arrays, oracle):
    for name, array, p, G in zip(opt.params, arrays, oracle.p, oracle.G, strict=True):
        assert bits_differ(array.numpy(), p) == 0, name
        assert bits_differ(opt.state[name]["accumulator"].to_host(), G) == 0, name


@pytest.mark.parametrize("offset", [0, 4])
@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
@pytest.mark.parametrize("shapes", SHAPES)
def test_finite_gradients_are_stepped_without_a_wait(gpu, shapes, nonfinite, offset):
    opt, arrays, oracle, rng = make(gpu, SHAPES[shapes], offset=offset, nonfinite=nonfinite)
    for number in range(3):
        gradients = gradients_of(rng, arrays)
        given = on(gpu, gradients)
        gpu.log.clear()
        gpu.launched.clear()
        opt.step(given)
        oracle.step(gradients)
        assert "read" not in gpu.log
        assert len(gpu.launched) == (2 if number and shapes != "empty" else len(gpu.launched))
    assert (opt.steps, opt.skipped) == (3, 0)
    assert_equal_bits(opt, arrays, oracle)


@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.parametrize(("shapes", "bad"), [("one", 0), ("many", 0), ("many", 1), ("many", 3)])
def test_the_next_step_tells_of_a_step_that_was_not_made(gpu, shapes, bad, at):
    opt, arrays, oracle, rng = make(gpu, SHAPES[shapes])
    good = gradients_of(rng, arrays)
    opt.step(on(gpu, good))
    oracle.step(good)
    opt.step(on(gpu, gradients_of(rng, arrays, bad, at)))  # which says nothing
    with pytest.raises(FloatingPointError, match=f"gradient of 'param{bad}' .* in step 2, which was not made: nothing"):
        opt.step(on(gpu, good))
    assert opt.steps == 1
    assert_equal_bits(opt, arrays, oracle)
    opt.step(on(gpu, good))
    oracle.step(good)
    assert opt.steps == 2
    assert_equal_bits(opt, arrays, oracle)


def test_nor_are_the_steps_after_it_that_come_before_the_answer(gpu, lags):
    opt, arrays, oracle, rng = make(gpu)
    opt.step(on(gpu, gradients_of(rng, arrays, bad=1)))
    opt.step(on(gpu, gradients_of(rng, arrays)))
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    with pytest.raises(FloatingPointError, match=r"'param1' .* in step 1, which was not made, nor 2 steps after it: "):
        opt.flush()
    assert opt.steps == 0
    assert_equal_bits(opt, arrays, oracle)


LOOKS = {
    "flush": lambda opt, table: opt.flush(),
    "state": lambda opt, table: opt.state,
    "save": lambda opt, table: opt.save("unwritten.npz"),
    "set_params": lambda opt, table: opt.set_params([np.ones(6), np.ones((3, 4))]),
    "rows": lambda opt, table: opt.step([*table[:-1], fa.Rows(table[0].gpu.array(np.array([1])), table[-1][:1])]),
    "steps, then a step": lambda opt, table: (opt.steps, opt.step(table)),
    "other hyperparameters, then a step": lambda opt, table: (setattr(opt.hyper, "momentum", 0.5), opt.step(table)),
    "a rate, then a step": lambda opt, table: (setattr(opt.hyper, "learning_rate", 0.5), opt.flush()),
    "an update": lambda opt, table: [f(g) for (_, f), g in zip(opt.get_updates(), table, strict=True)],
    "rows that are read": lambda opt, table: opt.read_rows("param1", table[0].gpu.array(np.array([1]))),
    "a rate that is looked for": lambda opt, table: fa.find_learning_rate(opt, [np.arange(40.0)]),
}


@pytest.mark.parametrize("look", LOOKS)
def test_whatever_reads_or_changes_waits_for_the_answer(gpu, lags, look, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opt, arrays, oracle, rng = make(gpu, [(6,), (3, 4)], loss=lambda params, x: (1.0, params))
    good = on(gpu, gradients_of(rng, arrays))
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    with pytest.raises(FloatingPointError, match="gradient of 'param0' must be finite, but held NaN or infinity"):
        LOOKS[look](opt, good)
    assert opt.steps == 0
    assert not [*tmp_path.iterdir()]
    for array, p in zip(arrays, oracle.p, strict=True):
        assert bits_differ(array.numpy(), p) == 0


@pytest.mark.parametrize("lagging", [False, True])
@pytest.mark.parametrize("shapes", ["one", "many"])
def test_skipped_steps_alone_are_left_out(gpu, shapes, lagging, request):
    if lagging:
        request.getfixturevalue("lags")
    opt, arrays, oracle, rng = make(gpu, SHAPES[shapes], nonfinite="skip")
    for bad in (None, 0, None, 0, 0, None):
        gradients = gradients_of(rng, arrays, bad)
        opt.step(on(gpu, gradients))
        if bad is None:
            oracle.step(gradients)
    assert (opt.steps, opt.skipped) == (3, 3)
    assert_equal_bits(opt, arrays, oracle)


def test_reset_forgets_steps_that_were_left_out(gpu):
    opt, arrays, oracle, rng = make(gpu)
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    opt.reset()
    good = gradients_of(rng, arrays)
    opt.step(on(gpu, good))
    oracle.step(good)
    assert opt.steps == 1
    assert_equal_bits(opt, arrays, oracle)


@pytest.mark.parametrize(
    "hyper",
    [
        {"max_global_norm": 1.0},
        {"max_gradient_norm": 1.0},
        {"learning_rate": lambda step: 0.1},
        {"accumulator": "row"},
        {"accumulator": "tensor"},
        {"lr_decay": 0.5},
    ],
    ids=lambda hyper: next(iter(hyper)),
)
def test_steps_that_cannot_be_deferred_tell_at_once(gpu, hyper):
    opt, arrays, _, rng = make(gpu, [(6,), (3, 4)], **hyper)
    with pytest.raises(FloatingPointError, match=r"gradient of 'param1' must be finite, but holds NaN"):
        opt.step(on(gpu, gradients_of(rng, arrays, bad=1)))


def test_an_infinite_accumulator_is_told_of_by_what_waits(gpu):
    opt = make(gpu, [(33,), (4, 5)])[0]
    opt.step(on(gpu, [np.full((33,), 1e30, F4), np.ones((4, 5), F4)]))
    with pytest.warns(RuntimeWarning, match="accumulator of 'param0' has become infinite"):
        opt.flush()


def test_numpy_arrays_tell_at_once():
    w = np.ones(3)
    opt = fa.ADAGRAD(params=w, deferred=True)
    with pytest.raises(FloatingPointError, match="gradient of 'param0' must be finite, but holds NaN"):
        opt.step(np.full(3, np.nan))
    assert w.tolist() == [1, 1, 1]


def test_a_run_is_ended_by_its_next_look_at_the_loss(gpu, lags):
    array = gpu.array(np.ones(3, F4))
    opt = fa.ADAGRAD(lambda w, x: (1.0, gpu.array(np.full(3, x[0], F4))), params=array, deferred=True)
    opt.step(gpu.array(np.ones(3, F4)))
    before = array.numpy().copy()
    with pytest.raises(FloatingPointError, match="in step 2, which was not made"):
        opt.minimize([np.array([np.nan])], batch_size=1, max_updates=1)
    assert opt.steps == 1
    assert bits_differ(array.numpy(), before) == 0


def test_a_loss_that_raises_is_told_of_and_ends_the_run(gpu, lags):
    calls, hyper = iter(range(9)), {"learning_rate": 0.7, "validate_every": 100}

    def loss(w):
        call = next(calls)
        if call == 3:
            raise ZeroDivisionError("mine")
        return 1.0, gpu.array(np.full(4, np.nan if call == 2 else 1.0, F4))

    array = gpu.array(np.ones(4, F4))
    opt = fa.ADAGRAD(loss, params=array, learning_rate=0.1, deferred=True)
    with pytest.raises(ZeroDivisionError, match="mine"):
        opt.minimize(max_epochs=9, **hyper)
    assert opt.hyper.learning_rate == 0.1
    assert opt.stopped_because is not None
    with pytest.raises(FloatingPointError, match="in step 2, which was not made"):
        opt.flush()


def test_reset_in_the_midst_of_a_run(gpu, lags):
    opt, arrays, _, rng = make(gpu, [(6,)], loss=lambda params: (1.0, [gpu.array(np.ones(6, F4))]))
    iteration = opt.iterate(max_epochs=5, learning_rate=0.7)
    next(iteration)
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    opt.reset()
    assert (opt.steps, opt.hyper.learning_rate) == (0, 0.1)


def test_a_file_takes_the_place_of_what_was_left_out(gpu, lags, tmp_path):
    opt, arrays, oracle, rng = make(gpu)
    good = gradients_of(rng, arrays)
    opt.step(on(gpu, good))
    oracle.step(good)
    opt.save(tmp_path / "saved.npz")
    opt.step(on(gpu, gradients_of(rng, arrays, bad=1)))
    opt.load(tmp_path / "saved.npz")
    assert opt.steps == 1
    assert_equal_bits(opt, arrays, oracle)


def test_updates_of_the_only_parameter_tell_at_once(gpu, lags):
    opt, arrays, _, rng = make(gpu, [(6,)])
    [(_, update)] = opt.get_updates()
    update(*on(gpu, gradients_of(rng, arrays)))
    with pytest.raises(FloatingPointError, match="holds NaN"):
        update(*on(gpu, gradients_of(rng, arrays, bad=0)))
    assert (update.steps, opt.steps) == (1, 0)


def test_it_is_changed_as_other_hyperparameters_are(gpu):
    opt, arrays, _, rng = make(gpu, [(6,)])
    opt.hyper.deferred = False
    with pytest.raises(FloatingPointError, match="holds NaN"):
        opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    opt.hyper.deferred = True
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    assert opt.steps == 0


@pytest.mark.parametrize("name", ["patience", "learning_rate"])
def test_numbers_are_changed_without_a_wait(gpu, name):
    opt, arrays, _, rng = make(gpu, [(6,)])
    opt.step(on(gpu, gradients_of(rng, arrays)))
    gpu.log.clear()
    setattr(opt.hyper, name, 3)
    opt.step(on(gpu, gradients_of(rng, arrays)))
    assert "read" not in gpu.log


def step_and_flush(opt, gradient):
    opt.step(gradient)
    opt.flush()


@pytest.mark.parametrize("method", [fa.FTRL, fa.RDA])
def test_what_was_set_from_outside_is_placed_by_the_step_that_is_made(gpu, method):
    found = []
    for deferred in (False, True):
        array = gpu.array(np.ones((4, 3), F4))
        opt = method(params=array, learning_rate=0.1, deferred=deferred)
        opt.step(gpu.array(np.ones((4, 3), F4)))
        opt.set_params(np.full((4, 3), 5.0, F4))
        with pytest.raises(FloatingPointError):
            step_and_flush(opt, gpu.array(np.full((4, 3), np.nan, F4)))
        opt.step(fa.Rows(gpu.array(np.array([1])), gpu.array(np.ones((1, 3), F4))))
        opt.flush()
        found.append(array.numpy())
    assert bits_differ(*found) == 0


@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_a_handler_that_looks_in_the_midst_of_a_step(gpu, nonfinite, monkeypatch):
    """Between what the host asks for: what it is told there is told again."""
    opt, arrays, oracle, rng = make(gpu, [(6,)], nonfinite=nonfinite)
    good = gradients_of(rng, arrays)
    opt.step(on(gpu, good))
    oracle.step(good)
    make_launch, looks = gpu.make, []

    def make_and_look(*args, **kwargs):
        make_launch(*args, **kwargs)
        looks.append(opt.steps)

    with monkeypatch.context() as patch:
        patch.setattr(gpu, "make", make_and_look)
        opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    assert looks
    if nonfinite == "raise":
        with pytest.raises(FloatingPointError, match="in step 2, which was not made: "):
            opt.flush()
    assert (opt.steps, opt.skipped) == (1, int(nonfinite == "skip"))
    assert_equal_bits(opt, arrays, oracle)


def test_counts_in_what_is_shown(gpu, caplog):
    opt, arrays, _, rng = make(gpu, [(6,)], nonfinite="skip")
    with caplog.at_level("INFO"):
        for bad in (None, 0, None, 0):
            opt.step(on(gpu, gradients_of(rng, arrays, bad)))
        assert "step 2, 2 skipped" in repr(opt)
    assert caplog.messages == ["1 step skipped: the gradient of 'param0' is not finite"] * 2


def test_an_epoch_has_the_steps_that_were_made(gpu, lags):
    array = gpu.array(np.ones(3, F4))
    loss = lambda w, x: (1.0, gpu.array(np.full(3, np.nan if x[0] == 2 else 1.0, F4)))  # noqa: E731
    opt = fa.ADAGRAD(loss, params=array, deferred=True, nonfinite="skip")
    opt.minimize([np.arange(4.0)], batch_size=1, max_epochs=2, validate_every=100)
    assert [epoch.steps for epoch in opt.history if epoch.steps] == [3, 6]
    assert (opt.steps, opt.skipped) == (6, 2)


def test_a_first_step_that_was_left_out_has_used_nothing(gpu, lags):
    opt, arrays, _, rng = make(gpu, [(6,)], loss=lambda params: (1.0, [gpu.array(np.ones(6, F4))]), nonfinite="skip")
    opt.step(on(gpu, gradients_of(rng, arrays, bad=0)))
    opt.minimize(max_epochs=1, initial_accumulator_value=0.5)
    assert opt.hyper.initial_accumulator_value == 0.5


@pytest.mark.parametrize("deferred", [False, True])
def test_a_step_of_nothing_is_counted(gpu, deferred):
    opt = fa.ADAGRAD(params=gpu.array(np.ones(0, F4)), deferred=deferred)
    opt.step(gpu.array(np.ones(0, F4)))
    assert (opt.steps, opt._session.engine.updates[0]) == (1, 1)


class Graph:
    """The launches of steps that a GPU captures."""

    def __init__(self, gpu, monkeypatch):
        self._gpu, self._launches = gpu, []
        monkeypatch.setattr(gpu, "captures", True)
        monkeypatch.setattr(gpu, "run", lambda *launch: self._launches.append(launch))
        monkeypatch.setattr(gpu, "clear", lambda *memory: self._launches.append(memory))

    def replay(self):
        for given in self._launches:
            (self._gpu.run if len(given) == 4 else self._gpu.clear)(*given)


@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_replays_of_a_graph(gpu, nonfinite, monkeypatch):
    opt, arrays, oracle, rng = make(gpu, [(6,)], nonfinite=nonfinite)
    values = gradients_of(rng, arrays)
    [given] = on(gpu, values)
    opt.step([given])
    with monkeypatch.context() as patch:
        graph = Graph(gpu, patch)
        opt.step([given])
    steps = opt.steps
    oracle.step(values)
    for bad in (False, True, False):
        given.set(np.full(6, np.nan, F4) if bad else values[0])
        graph.replay()
    replays = 1 if nonfinite == "raise" else 2  # of three: none, or one, after that with a bad gradient
    for _ in range(replays):
        oracle.step(values)
    if nonfinite == "raise":
        for look in (opt.flush, opt.flush):
            with pytest.raises(FloatingPointError, match="in a replay of a captured step, which was not made, nor any"):
                look()
            given.set(np.full(6, np.nan, F4))
            graph.replay()
        with pytest.raises(FloatingPointError, match="replay"):
            opt.step([given])
    assert opt.steps == steps
    assert_equal_bits(opt, arrays, oracle)
