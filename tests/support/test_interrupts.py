"""Ctrl-C: in a step, between epochs, once and twice; and programs that have a handler of their own."""

import signal

import numpy as np
import pytest
from processes import run
from runs import bowl

import fastadagrad as fa
from fastadagrad.support.interrupts import delayed, whole

INTERRUPTED = """
    import os, signal, sys, threading, time
    import numpy as np
    import fastadagrad as fa
    pressed = []
    def press():
        for _ in range(TIMES):
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)
    def loss(w, x):
        if opt.steps == 3 and not pressed:
            pressed.append(True)
            threading.Thread(target=press).start()
            time.sleep(1)
            print("on")
        return float((w - 3) @ (w - 3)), 2 * (w - 3)
    w = np.zeros(1)
    opt = fa.ADAGRAD(loss, w, learning_rate=0.1)
    try:
        train, valid = opt.minimize(np.ones(40), batch_size=1)
        assert np.isclose(valid["loss"], loss(w, 0)[0]) and valid["loss"] < train["loss"] < 9
        print("normally")
    except KeyboardInterrupt:
        assert w[0] == 0
        print("raised")
    print(opt.stopped_because, opt.steps, len(opt.history))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


@pytest.mark.parametrize(
    ("times", "expected"), [(1, "on normally interrupted 4 1"), (2, "raised interrupted 3 0")], ids=["once", "twice"]
)
def test_ctrl_c(times, expected):
    """Once: the loss is finished, the step made and validated. Twice: it raises in the midst of the loss."""
    done = run(INTERRUPTED.replace("TIMES", str(times)))
    assert (done.stdout.split(), done.stderr) == (expected.split(), "")


def test_ctrl_c_between_the_epochs_of_minimize(monkeypatch, capsys):
    """As while the progress bar is drawn."""

    def press(bar, **monitors):
        if opt.steps == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tqdm.auto.tqdm.set_postfix", press)
    opt = fa.ADAGRAD(bowl, np.zeros(1), learning_rate=0.1)
    opt.minimize(max_updates=20, progress=True)
    assert (opt.steps, opt.best.steps, opt.stopped_because) == (3, 3, "interrupted")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("where", ["loss", "monitor", "update"])
def test_ctrl_c_raised_in_process(where, times):
    calls = []

    def press(here):
        calls.append(here)
        if here == where and opt.steps == 3 and opt.stopped_because is None and calls.count(here) < 100:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            calls.extend([here] * 100)

    def loss(w, x):
        press("loss")
        return bowl(w)

    opt = fa.ADAGRAD(
        loss,
        w := np.zeros(1),
        monitors={"m": lambda w, x: press("monitor") or 0},
        updates=[(np.zeros(1), lambda w, x: press("update") or 0)],
        learning_rate=0.5,
    )
    if times == 2:
        with pytest.raises(KeyboardInterrupt):
            opt.minimize(np.ones(20), batch_size=2)
        assert w[0] == 0  # the best that was validated
    else:
        opt.minimize(np.ones(20), batch_size=2)
        assert opt.steps == (3 if where == "update" else 4)
        assert opt.best.steps == opt.steps
        assert w[0] > 1
    assert opt.stopped_because == "interrupted"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_with_its_own_handler_keeps_it():
    came = []
    old = signal.signal(signal.SIGINT, lambda *_: came.append(1))
    try:
        opt = fa.ADAGRAD(lambda w: (signal.raise_signal(signal.SIGINT), bowl(w))[1], np.zeros(1))
        opt.minimize(max_epochs=3)
    finally:
        signal.signal(signal.SIGINT, old)
    assert opt.stopped_because == "max_epochs"
    assert len(came) == 5


def test_ctrl_c_that_is_ignored_stays_so():
    """As in what a shell starts in the background."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        opt = fa.ADAGRAD(lambda w: (signal.raise_signal(signal.SIGINT), bowl(w))[1], np.zeros(1))
        opt.minimize(max_epochs=3)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)
    assert opt.stopped_because == "max_epochs"


def test_a_handler_installed_by_the_loss_stays():
    handler = lambda *_: None  # noqa: E731
    old = signal.getsignal(signal.SIGINT)
    try:
        opt = fa.ADAGRAD(lambda w: (signal.signal(signal.SIGINT, handler), bowl(w))[1], np.zeros(1))
        opt.minimize(max_epochs=2)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, old)


class Pressing:
    """Presses Ctrl-C twice when it is copied."""

    def __array__(self, *args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return np.zeros(1)


def test_ctrl_c_does_not_tear_what_is_being_restored():
    params = [np.zeros(1), np.zeros(1), np.zeros(1)]
    losses = iter([1.0, *[9.0] * 9])
    opt = fa.ADAGRAD(lambda p: (next(losses), [np.ones(1)] * 3), params, learning_rate=1.0)
    epochs = opt.iterate()
    next(epochs)
    opt._session.ledger.best_arrays[1] = Pressing()
    with pytest.raises(KeyboardInterrupt):
        epochs.close()
    assert [p[0] for p in params] == [0, 0, 0]
    assert opt.stopped_because == "closed"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer for signals")
def test_handlers_are_put_back_whenever_ctrl_c_comes():
    def own(*_):
        pass

    def ring(*_):
        signal.raise_signal(signal.SIGINT)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    signal.signal(signal.SIGTERM, own), signal.signal(signal.SIGALRM, ring)
    pressed = 0
    try:
        while pressed < 200:
            signal.setitimer(signal.ITIMER_REAL, 1e-4 + 1e-7 * pressed)
            try:
                while True:
                    with whole():
                        pass
            except KeyboardInterrupt:
                pressed += 1
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_signals_wait_until_they_are_delivered_or_the_block_ends():
    answered, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: answered.append((number, frame is not None)))
    try:
        with delayed() as waiting:
            assert not waiting
            for _ in range(2):
                signal.raise_signal(signal.SIGTERM)
            assert (bool(waiting), answered) == (True, [])
            waiting.deliver()
            assert (bool(waiting), answered) == (False, [(signal.SIGTERM, True)] * 2)
            signal.raise_signal(signal.SIGTERM)
        assert len(answered) == 3
        with delayed() as waiting:
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                waiting.deliver()
        with delayed() as waiting:
            assert not waiting
    finally:
        signal.signal(signal.SIGTERM, before)
