"""One optimizer in several threads: whatever reads or changes it does so between two steps."""

import io
import sys
import threading

import numpy as np
import pytest
from meanwhile import meanwhile

import fastadagrad as fa
from fastadagrad.optimizer import writing

GRADIENTS = {"a": np.ones(3000), "b": np.ones(2000, np.float32), "c": np.ones((40, 5))}  # a step takes two launches


@pytest.fixture(autouse=True)
def frequent_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def loss(params, *batch):
    """The same for all batches, as long as nobody steps; not a number if the parameters are of different steps."""
    values = [float(array.flat[k]) for array in params.values() for k in (0, -1)]
    return (values[0] if max(values) - min(values) < 1e-3 else np.nan), GRADIENTS


def made(**hyper):
    params = {name: gradient * 0 for name, gradient in GRADIENTS.items()}
    return fa.ADAGRAD(loss, params, learning_rate=0.5, **hyper)


def stepping(opt, step=None):
    """Another thread steps meanwhile."""
    return meanwhile(lambda: (step or opt.step)(GRADIENTS))


def check_file(content):
    """All that is in a file is of one step: the accumulators are the count of steps, and the parameters agree."""
    other = made()
    other.load(io.BytesIO(content), hyper=True)
    for name, slots in other.state.items():
        assert (slots["accumulator"] == other.steps).all(), name
    assert np.isfinite(other.evaluate([np.ones(1)])["loss"])


@pytest.mark.parametrize("hyper", [{}, {"max_global_norm": 1e6}, {"momentum": 0.5}], ids=str)
@pytest.mark.parametrize("copies", [True, False], ids=["copied", "too large to be copied"])
def test_save(hyper, copies, monkeypatch):
    if not copies:
        monkeypatch.setattr(writing, "are_copied", lambda *_: False)
    opt, files = made(**hyper), []
    with stepping(opt):
        for _ in range(20):
            opt.save(file := io.BytesIO())
            files.append(file.getvalue())
    for content in files:
        check_file(content)


def test_nobody_waits_while_a_copy_is_written():
    class Slow(io.BytesIO):
        def write(self, content):
            if opt.steps < 3:
                thread = threading.Thread(target=opt.step, args=(GRADIENTS,))
                thread.start()
                thread.join(60)
                assert not thread.is_alive()
            return super().write(content)

    opt, done = made(), threading.Event()
    opt.step(GRADIENTS)
    idle = threading.Thread(target=done.wait)  # where there is no other thread, nothing is copied
    idle.start()
    try:
        opt.save(file := Slow())
    finally:
        done.set()
        idle.join()
    assert opt.steps == 3
    check_file(file.getvalue())
    other = made()
    other.load(io.BytesIO(file.getvalue()))
    assert other.steps == 1


def test_evaluate_sees_one_step():
    opt = made()
    data = fa.Dataset(np.arange(40.0), batch_size=1)
    with stepping(opt):
        for _ in range(5):
            found = opt.evaluate(data)["loss"]
            assert np.isfinite(found)
    values, w = set(), np.zeros(1)
    other = fa.ADAGRAD(params=w, learning_rate=0.5)
    for _ in range(opt.steps):
        values.add(sum([w[0]] * 40) / 40)
        other.step(np.ones(1))
    assert found in {*values, sum([w[0]] * 40) / 40}


CHANGES = {
    "reset": lambda opt, file: opt.reset(),
    "load": lambda opt, file: (file.seek(0), opt.load(file)),
    "set_params": lambda opt, file: opt.set_params({name: g * 0 - 7 for name, g in GRADIENTS.items()}),
    "set best": lambda opt, file: opt.set_params("best"),
    "hyper": lambda opt, file: opt.hyper.update(momentum=0.5 - opt.hyper.momentum, lr_decay=0.0),
    "state": lambda opt, file: opt.state,
    "twin": lambda opt, file: opt.twin(),
    "read_rows": lambda opt, file: opt.read_rows("c", np.array([3])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_come_between_steps(change):
    opt = made()
    opt.minimize(max_epochs=1)
    opt.reset()
    opt.minimize(max_epochs=1, learning_rate=0.0)
    opt.save(file := io.BytesIO())
    files = []
    with stepping(opt):
        for _ in range(20):
            CHANGES[change](opt, file)
            opt.save(content := io.BytesIO())
            files.append(content.getvalue())
    for content in files:
        check_file(content)


def test_two_threads_change_hyperparameters():
    """Neither change is lost."""
    opt = made()

    def change(name):
        for k in range(200):
            opt.hyper.update(**{name: k / 1000})

    threads = [threading.Thread(target=change, args=(name,)) for name in ("weight_decay", "l2", "lr_decay")]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert [opt.hyper.weight_decay, opt.hyper.l2, opt.hyper.lr_decay] == [0.199] * 3
