"""Ctrl-C and signals of other kinds in a loop of the user's own: a step is made and counted, or neither."""

import gc
import random
import signal
import sys

import numpy as np
import pytest
from checkpoints import contents_of

import fastadagrad as fa

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer for signals")


class Alarm(Exception):
    """Raised by the handler of a signal."""


def dense(n):
    g = np.ones(n)
    return lambda **hyper: fa.ADAGRAD(params=np.zeros(n), **hyper), lambda opt: opt.step(g)


def several():
    """Two dtypes: the step takes two launches."""
    gradients = [np.ones(300), np.ones(500, np.float32), np.ones((4, 3))]
    return lambda **hyper: fa.ADAGRAD(params=[g * 0 for g in gradients], **hyper), lambda opt: opt.step(gradients)


def rows():
    given = fa.Rows(np.array([7, 3, 900]), np.ones((3, 2)))
    return lambda **hyper: fa.ADAGRAD(params=np.zeros((1000, 2)), **hyper), lambda opt: opt.step(given)


def alternating():
    """Gradients of other kinds in each step, so that parameters are divided anew among units."""
    dense, sparse = np.ones((50, 2)), fa.Rows(np.array([7, 3]), np.ones((2, 2)))
    return lambda **hyper: fa.ADAGRAD(params=np.zeros((50, 2)), **hyper), lambda opt: opt.step(
        sparse if opt.steps % 2 else dense
    )


def one_by_one():
    gradients = [np.ones(300), np.ones(500, np.float32)]

    def made(**hyper):
        opt = fa.ADAGRAD(params=[g * 0 for g in gradients], **hyper)
        opt.kept = [update for _, update in opt.get_updates()]
        return opt

    return made, lambda opt: opt.kept[opt.kept[0].steps > opt.kept[1].steps](
        gradients[opt.kept[0].steps > opt.kept[1].steps]
    )


CASES = {
    "10 elements": (dense(10), {}),
    "20,000 elements": (dense(20_000), {}),
    "scheduled": (dense(300), {"learning_rate": lambda t: 0.1 / (t + 1)}),
    "one accumulator": (dense(300), {"accumulator": "tensor"}),
    "clipped": (dense(300), {"max_gradient_norm": 2.0}),
    "several": (several(), {}),
    "clipped together": (several(), {"max_global_norm": 2.0, "momentum": 0.5}),
    "rows": (rows(), {}),
    "rows that lag": (rows(), {"momentum": 0.5}),
    "rows of one accumulator": (rows(), {"accumulator": "tensor"}),
    "other kinds": (alternating(), {}),
    "one by one": (one_by_one(), {}),
}


def counts(opt):
    return opt.steps, [update.steps for update in getattr(opt, "kept", ())]


@pytest.fixture
def signals():
    """Handlers of alarms and of Ctrl-C as they were before, and no collection of garbage.

    What a handler raises while Hypothesis is told of a collection is lost: nothing can be raised there.
    """
    gc.disable()
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGINT)}
    interval = sys.getswitchinterval()
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.setswitchinterval(interval)
    gc.enable()
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(opt, step, times, error):
    """Step until the alarm rings, some times; the counts at each."""
    rng = random.Random(1)
    for _ in range(times):
        try:  # on a busy machine the alarm may ring as soon as it is set
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(2e-4, 2e-3))
            while True:
                step(opt)
        except error:
            pass
        yield counts(opt)


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c_parts_no_step_from_its_count(case, signals):
    """The optimizer has the bits of one that was never interrupted, and made as many steps as this one has counted."""
    (made, step), hyper = CASES[case]
    opt, other = (made(**{"learning_rate": 0.1, **hyper}) for _ in range(2))
    for each in (opt, other):
        step(each), step(each)
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    for found in interrupted(opt, step, 40, KeyboardInterrupt):
        while counts(other) < found:
            step(other)
        assert counts(other) == found
        assert contents_of(other) == contents_of(opt)
    assert opt.steps + sum(counts(opt)[1]) > 40


@pytest.mark.parametrize("case", ["10 elements", "20,000 elements", "rows", "one by one"])
def test_nor_does_what_another_handler_raises(case, signals):
    """As a limit of time does, in the tests of many a program."""

    def ring(*_):
        raise Alarm

    (made, step), hyper = CASES[case]
    opt, other = (made(learning_rate=0.1, **hyper) for _ in range(2))
    for each in (opt, other):
        step(each), step(each)
    signal.signal(signal.SIGALRM, ring)
    for found in interrupted(opt, step, 40, Alarm):
        while counts(other) < found:
            step(other)
        assert contents_of(other) == contents_of(opt)


@pytest.mark.parametrize("case", ["20,000 elements", "one by one", "rows"])
def test_a_handler_that_saves_finds_every_step_counted(case, signals):
    (made, step), hyper = CASES[case]
    opt, other = (made(learning_rate=0.1, **hyper) for _ in range(2))
    for each in (opt, other):
        step(each), step(each)
    saved = []
    signal.signal(signal.SIGALRM, lambda *_: saved.append((counts(opt), contents_of(opt))))
    for _ in range(40):
        before = len(saved)
        signal.setitimer(signal.ITIMER_REAL, 7e-4)
        while len(saved) == before:
            step(opt)
    for found, content in saved:
        while counts(other) < found:
            step(other)
        assert content == contents_of(other)
    while counts(other) < counts(opt):
        step(other)
    assert contents_of(other) == contents_of(opt)
