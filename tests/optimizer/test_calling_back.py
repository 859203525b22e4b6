"""Functions of the user's that call the optimizer which calls them: they may read, and are refused all changes."""

import io

import numpy as np
import pytest
from lent import ByInterface
from processes import run

import fastadagrad as fa

CHANGES = {
    "step": lambda opt, file: opt.step(np.ones(2)),
    "update": lambda opt, file: opt.kept_update(np.ones(2)),
    "reset": lambda opt, file: opt.reset(),
    "load": lambda opt, file: opt.load(file),
    "set_params": lambda opt, file: opt.set_params([7, 7]),
    "learning rate": lambda opt, file: setattr(opt.hyper, "learning_rate", 0.7),
    "momentum": lambda opt, file: setattr(opt.hyper, "momentum", 0.7),
    "hyper.update": lambda opt, file: opt.hyper.update(learning_rate=0.7, accumulator="tensor"),
    "get_updates": lambda opt, file: opt.get_updates(learning_rate=0.7),
    "iterate": lambda opt, file: next(opt.iterate(max_epochs=1)),
    "minimize": lambda opt, file: opt.minimize(max_epochs=1),
}
READINGS = {
    "steps": lambda opt, file: opt.steps,
    "state": lambda opt, file: opt.state["param0"]["accumulator"].tolist(),
    "params": lambda opt, file: opt.params["param0"].tolist(),
    "hyper": lambda opt, file: opt.hyper.momentum,
    "read_rows": lambda opt, file: opt.read_rows("param0", np.array([1])),
    "flush": lambda opt, file: opt.flush(),
    "save": lambda opt, file: opt.save(io.BytesIO()),
    "twin": lambda opt, file: opt.twin(),
}


class Asking(ByInterface):
    """An array of another library that calls back when it is asked for its memory."""

    def __init__(self, array, call):
        super().__init__(array)
        self.call = call

    @property
    def __array_interface__(self):
        self.call()
        return self.array.__array_interface__


def in_a_step(**hyper):
    return lambda call: (
        {"learning_rate": lambda t: call() or 0.1, **hyper},
        lambda opt: opt.step(np.ones(2)),
    )


def of(argument, function):
    """A run in which the argument of the constructor, or of `iterate`, is a function that calls back."""

    def made(call):
        def calling(w, *batch):
            call()
            return function(w)

        given = {"monitor": {"monitors": {"m": calling}}, "update": {"updates": [(np.zeros(1), calling)]}}
        return given.get(argument, {argument: calling}), lambda opt: opt.minimize(max_updates=2)

    return made


CALLERS = {
    "learning rate": in_a_step(),
    "learning rate, with a limit": in_a_step(max_gradient_norm=1.0),
    "learning rate, in a group": lambda call: (
        {"groups": {"param0": {"learning_rate": lambda t: call() or 0.1}}},
        lambda opt: opt.step(np.ones(2)),
    ),
    "learning rate, in a run": lambda call: (
        {"learning_rate": lambda t: call() or 0.1},
        lambda opt: opt.minimize(max_updates=2),
    ),
    "gradient": lambda call: ({}, lambda opt: opt.step(Asking(np.ones(2), call))),
    "update": lambda call: ({}, lambda opt: opt.kept_update(Asking(np.ones(2), call))),
    "loss": of("loss", lambda w: (w @ w, 2 * w)),
    "gradient of a loss": of("gradient", lambda w: 2 * w),
    "monitor": of("monitor", lambda w: 0.0),
    "update of a run": of("update", lambda w: 0.0),
    "touches": lambda call: (
        {},
        lambda opt: opt.minimize([np.ones(2)], max_updates=2, touches=lambda *batch: call() or {}),
    ),
    "evaluation": lambda call: ({"monitors": {"m": lambda w: call() or 0.0}}, lambda opt: opt.evaluate(None)),
}


def made(caller, call):
    """An optimizer that calls `call`, a function without arguments, and a function that has the optimizer do so."""
    arguments, action = CALLERS[caller](call)
    loss = (lambda w: w @ w) if "gradient" in arguments else lambda w, *batch: (w @ w, 2 * w)
    opt = fa.ADAGRAD(**{"loss": loss, "params": np.array([1.0, -2.0]), "learning_rate": 0.1, **arguments})
    [(_, opt.kept_update)] = opt.get_updates()
    return opt, action


def contents(opt):
    hyper = {name: value for name, value in opt.hyper.items() if not callable(value)}
    arrays = opt.params["param0"], opt.state["param0"]["accumulator"]
    return (
        [array.tobytes() for array in arrays],
        opt.steps,
        opt.kept_update.steps,
        hyper["momentum"],
        hyper.get("learning_rate"),
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("caller", CALLERS)
def test_a_change_is_refused_and_nothing_is_changed(caller, change):
    def call():
        file.seek(0)
        before = contents(opt)
        with pytest.raises(RuntimeError, match="cannot change the optimizer that it is called by"):
            CHANGES[change](opt, file)
        assert contents(opt) == before
        refused.append(change)

    refused, file = [], io.BytesIO()
    opt, action = made(caller, call)
    opt.save(file)
    action(opt)
    assert refused
    other, action = made(caller, lambda: None)
    action(other)
    assert contents(opt) == contents(other)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("caller", CALLERS)
def test_reading_is_allowed_and_changes_no_bit(caller, reading):
    opt, action = made(caller, lambda: (READINGS[reading](opt, None), None)[1])
    action(opt)
    other, action = made(caller, lambda: None)
    action(other)
    assert contents(opt) == contents(other)


def test_a_refusal_that_is_not_caught_leaves_all_as_it_was():
    opt = fa.ADAGRAD(params=np.ones(2), learning_rate=lambda t: opt.reset() if t == 2 else 0.1)
    [(_, opt.kept_update)] = opt.get_updates()
    opt.step(np.ones(2))
    opt.step(np.ones(2))
    before = contents(opt)
    with pytest.raises(RuntimeError, match=r"^reset is called from within a step"):
        opt.step(np.ones(2))
    assert contents(opt) == before
    opt.hyper.learning_rate = 0.1
    opt.step(np.ones(2))
    assert opt.steps == 3


@pytest.mark.parametrize("how", ["learning rate", "loss"])
def test_other_optimizers_may_be_changed(how):
    def step_the_other(*anything):
        other.step(np.ones(2))
        return (1.0, np.ones(2)) if how == "loss" else 0.1

    other = fa.ADAGRAD(params=np.ones(2))
    if how == "loss":
        fa.ADAGRAD(step_the_other, np.ones(2)).minimize(max_epochs=1)
    else:
        fa.ADAGRAD(params=np.ones(2), learning_rate=step_the_other).step(np.ones(2))
    assert other.steps > 0


def test_another_thread_may_change_it_between_the_steps_of_a_run():
    code = """
        import threading
        import numpy as np
        import fastadagrad as fa
        def loss(w):
            if opt.steps == 3 and not done:
                thread = threading.Thread(target=lambda: (opt.step(np.ones(2)), opt.hyper.update(momentum=0.5)))
                thread.start(), thread.join()
                done.append(1)
            return w @ w, 2 * w
        done = []
        opt = fa.ADAGRAD(loss, np.ones(2), learning_rate=0.1)
        opt.minimize(max_updates=6)
        print(opt.steps, opt.hyper.momentum)
    """
    done = run(code)
    assert (done.stdout.split(), done.stderr) == (["7", "0.5"], "")


def test_an_evaluation_may_read_in_threads_of_its_own_and_steps_wait_for_it():
    code = """
        import threading
        import numpy as np
        import fastadagrad as fa
        def loss(w, x):
            reads = threading.Thread(target=lambda: seen.append(opt.read_rows("param0", np.array([0]))[0]))
            reads.start(), reads.join()
            if not steps.is_alive() and not steps.ident:
                steps.start()
            steps.join(0.05)
            return float(w[0] + 0 * x[0]), np.ones(2)
        seen = []
        opt = fa.ADAGRAD(loss, np.ones(2), learning_rate=0.1)
        steps = threading.Thread(target=lambda: opt.step(np.ones(2)))
        found = opt.evaluate(fa.Dataset(np.arange(8.0), batch_size=2))
        steps.join()
        print(found["loss"], *seen, opt.steps)
    """
    done = run(code)
    assert (done.stdout.split(), done.stderr) == ([*["1.0"] * 5, "1"], "")
