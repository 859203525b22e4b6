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
}


@pytest.mark.parametrize("look", LOOKS)
def test_whatever_reads_or_changes_waits_for_the_answer(gpu, lags, look, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opt, arrays, oracle, rng = make(gpu, [(6,), (3, 4)])
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
