"""The best parameters, restored however an iteration ends; losses that are not finite."""

import gc
import logging
import math
import signal
from itertools import islice

import numpy as np
import pytest
from processes import run
from runs import TRAIN, VALID, bowl, scripted

import fastadagrad as fa


class TestRestoring:
    """Validation losses 3, 2, 9, 9, ...: the best is after epoch 1, at w = -1."""

    LOSSES = (3, 2, *[9] * 50)

    def make(self):
        return scripted(self.LOSSES, validate_every=1)

    def test_at_the_end(self):
        opt, w = self.make()
        _, valid = opt.minimize(TRAIN, VALID, max_epochs=3)
        assert w.round(6) == -1
        assert valid == {"loss": 2.0}
        assert opt.best.steps == 1

    def test_after_break(self):
        opt, w = self.make()
        for i, _ in enumerate(opt.iterate(TRAIN, VALID), 1):
            if i == 3:
                assert w.round(6) == -3
                break
        assert w.round(6) == -1
        assert opt.stopped_because == "closed"

    def test_after_break_with_progress(self, capsys):
        opt, w = self.make()
        for i, _ in enumerate(opt.iterate(TRAIN, VALID, progress=True), 1):
            if i == 3:
                break
        assert w.round(6) == -1
        assert opt.stopped_because == "closed"

    def test_when_it_is_closed_and_not_before(self):
        opt, w = self.make()
        epochs = opt.iterate(TRAIN, VALID)
        for _ in range(3):
            next(epochs)
        assert w.round(6) == -3
        epochs.close()
        assert w.round(6) == -1

    @pytest.mark.parametrize("change", ["step", "update", "set_params", "set best", "load", "iterate", "minimize"])
    def test_not_over_later_work(self, change, tmp_path):
        opt, w = self.make()
        opt.save(tmp_path / "fresh")
        epochs = opt.iterate(TRAIN, VALID)
        for _ in range(3):
            next(epochs)
        changes = {
            "step": lambda: opt.step(np.ones(1)),
            "update": lambda: next(opt.get_updates())[1](np.ones(1)),
            "set_params": lambda: opt.set_params(np.full(1, 7.0)),
            "set best": lambda: opt.set_params(),
            "load": lambda: opt.load(tmp_path / "fresh"),
            "iterate": lambda: [next(iterated) for iterated in [opt.iterate(TRAIN, VALID)] for _ in range(2)],
            "minimize": lambda: opt.minimize(TRAIN, VALID, max_epochs=2),
        }
        changes[change]()
        left = w.copy()
        epochs.close()
        assert w.tolist() == left.tolist()

    def test_after_break_although_something_was_changed_before(self):
        opt, w = self.make()
        for i, _ in enumerate(opt.iterate(TRAIN, VALID), 1):
            if i == 1:
                opt.set_params(w - 0.5)
            if i == 3:
                break
        assert w.round(6) == -1.5  # validated as changed

    def test_a_refused_step_is_no_work(self):
        opt, w = self.make()
        epochs = opt.iterate(TRAIN, VALID)
        for _ in range(3):
            next(epochs)
        with pytest.raises(ValueError, match="shape"):
            opt.step(np.ones(2))
        epochs.close()
        assert w.round(6) == -1

    @pytest.mark.parametrize("where", ["loss", "gradient", "monitor", "update"])
    def test_after_an_exception(self, where):
        losses, calls = iter(self.LOSSES), []

        def fail(here, result):
            calls.append(here)
            if calls.count(where) == {"loss": 6, "monitor": 6}.get(where, 3) and here == where:
                raise OSError("disk on fire")
            return result

        opt = fa.ADAGRAD(
            lambda w, x: fail("loss", next(losses) if x[0] else 0.5),
            w := np.zeros(1),
            gradient=lambda w, x: fail("gradient", np.ones(1)),
            monitors={"m": lambda w, x: fail("monitor", 0)},
            updates=[(np.zeros(1), lambda w, x: fail("update", 0))],
            learning_rate=lambda t: (t + 1) ** 0.5,
            validate_every=1,
        )
        with pytest.raises(OSError, match="disk on fire"):
            opt.minimize(TRAIN, VALID)
        assert w.round(6) == -1
        assert opt.stopped_because == "error"

    def test_after_a_gradient_that_is_not_finite(self):
        opt, w = self.make()
        opt._session.objective._gradient = lambda w, x: np.full(1, np.nan if opt.steps == 2 else 1.0)
        with pytest.raises(FloatingPointError):
            opt.minimize(TRAIN, VALID)
        assert w.round(6) == -1


def by_break(epochs):
    for i, _ in enumerate(epochs, 1):
        if i == 3:
            break


def by_return(epochs):
    for i, _ in enumerate(epochs, 1):
        if i == 3:
            return


def by_throw(epochs):
    for _ in range(3):
        next(epochs)
    with pytest.raises(ZeroDivisionError):
        epochs.throw(ZeroDivisionError)


def by_collection(epochs):
    cycle = [epochs, *(next(epochs) for _ in range(3))]
    cycle.append(cycle)
    del cycle, epochs


def by_close(epochs):
    for _ in range(3):
        next(epochs)
    epochs.close()


LEAVING = {
    "break": by_break,
    "return": by_return,
    "throw": by_throw,
    "close": by_close,
    "collection": by_collection,
    "zip": lambda epochs: [*zip(range(3), epochs, strict=False)],
    "islice": lambda epochs: [*islice(epochs, 3)],
}


class TestLeavingEarly:
    """What the last epochs have gained is validated before the best parameters are chosen."""

    def left(self, how, losses, **kwargs):
        opt, w = scripted(losses)
        LEAVING[how](opt.iterate(TRAIN, VALID, **kwargs))
        gc.collect()
        return opt, w

    @pytest.mark.parametrize("progress", [False, True])
    @pytest.mark.parametrize("how", LEAVING)
    def test_the_last_epochs_are_kept(self, how, progress, caplog):
        with caplog.at_level(logging.INFO, "fastadagrad"):
            opt, w = self.left(how, [5, 4], progress=progress)
        assert w.round(6) == -3
        assert (opt.best.loss, opt.best.epoch, opt.best.steps, opt.stopped_because) == (4, 3, 3, "closed")
        assert [epoch.valid["loss"] for epoch in opt.history] == [5, 5, 4]
        assert [line for line in caplog.messages if "ended" in line] == [
            "iteration ended (closed): the best parameters are kept, validation loss 4"
        ]

    @pytest.mark.parametrize("how", LEAVING)
    def test_unless_they_are_worse(self, how, caplog):
        with caplog.at_level(logging.INFO, "fastadagrad"):
            opt, w = self.left(how, [5, 6], validate_every=4)
        assert w[0] == 0
        assert (opt.best.loss, opt.best.steps, opt.stopped_because) == (5, 0, "closed")
        assert opt.history[-1].valid["loss"] == 6
        assert caplog.messages[-1] == (
            "iteration ended (closed): the best parameters are restored from epoch 0, step 0, validation loss 5"
        )

    def test_next_alone(self):
        opt, w = scripted([5, 4])
        next(opt.iterate(TRAIN, VALID))
        assert (w.round(6), opt.best.loss, opt.stopped_because) == (-1, 4, "closed")

    def test_an_exception_of_the_body(self):
        opt, w = scripted([5, 4])

        def loop():
            for i, _ in enumerate(opt.iterate(TRAIN, VALID), 1):
                1 / (3 - i)

        with pytest.raises(ZeroDivisionError):
            loop()
        assert (w.round(6), opt.best.loss, opt.stopped_because) == (-3, 4, "closed")

    def test_what_has_been_validated_is_not_validated_again(self):
        opt, w = scripted([5, 4, 3, 2])
        for i, _ in enumerate(opt.iterate(TRAIN, VALID, validate_every=1, max_epochs=3), 1):
            if i == 3:
                break
        assert (w.round(6), opt.best.loss, opt.best.epoch, opt.stopped_because) == (-3, 2, 3, "closed")

    def test_it_goes_by_the_hyperparameters_of_the_run(self):
        opt, w = scripted([5, 4.9, 4.8])
        for _ in opt.iterate(TRAIN, VALID, patience=0, min_improvement=0.5):
            break
        assert (w.round(6), opt.best.loss, opt.stopped_because) == (-1, 4.9, "closed")

    def test_a_new_iterate_validates_what_it_ends(self):
        opt, w = scripted([5, 4, 3, 2])
        old = opt.iterate(TRAIN, VALID)
        next(old)
        new = opt.iterate(TRAIN, VALID)
        next(new)
        assert [epoch.valid["loss"] for epoch in opt.history] == [4, 3]
        assert w.round(6) == -2
        assert [*old] == []
        new.close()
        assert [epoch.valid["loss"] for epoch in opt.history] == [4, 2]

    @pytest.mark.parametrize("change", ["step", "set_params", "reset", "load"])
    def test_no_validation_of_what_others_have_made(self, change, tmp_path, caplog):
        opt, w = scripted([5])
        opt.save(tmp_path / "fresh")
        epochs = opt.iterate(TRAIN, VALID)
        next(epochs)
        {
            "step": lambda: opt.step(np.ones(1)),
            "set_params": lambda: opt.set_params(np.full(1, 7.0)),
            "reset": opt.reset,
            "load": lambda: opt.load(tmp_path / "fresh"),
        }[change]()
        at, history = w.copy(), [*opt.history]
        with caplog.at_level(logging.INFO, "fastadagrad"):
            epochs.close()
        assert w.tolist() == at.tolist()
        assert opt.history == history
        if change in ("step", "set_params"):
            assert caplog.messages == ["iteration ended (closed): the parameters are left as they are: " + CHANGED]
            assert opt.stopped_because == "closed"

    def test_a_change_by_the_body_of_the_last_epoch_is_validated(self):
        opt, w = scripted([5, 4, 3])
        for i, _ in enumerate(opt.iterate(TRAIN, VALID, max_epochs=2), 1):
            if i == 2:
                opt.set_params(np.full(1, 7.0))
        assert (w[0], opt.best.loss, opt.stopped_because) == (7, 3, "max_epochs")
        opt, w = scripted([5, 4, 9])
        for i, _ in enumerate(opt.iterate(TRAIN, VALID, max_epochs=2), 1):
            if i == 2:
                opt.step(np.ones(1))
        assert (w.round(6), opt.best.loss, opt.history[-1].valid["loss"]) == (-2, 4, 9)

    def test_a_loss_that_fails_then(self):
        opt, w = scripted([5])  # and no second validation
        epochs = opt.iterate(TRAIN, VALID)
        next(epochs)
        with pytest.raises(RuntimeError, match="StopIteration"):
            epochs.close()
        assert (w[0], opt.best.loss, opt.stopped_because) == (0, 5, "error")
        opt.step(np.ones(1))
        assert opt.steps == 2

    def test_a_loss_that_is_not_finite_then(self):
        opt, w = scripted([5, math.nan])
        epochs = opt.iterate(TRAIN, VALID)
        next(epochs)
        epochs.close()
        assert (w[0], opt.best.loss, opt.stopped_because) == (0, 5, "non-finite loss")

    @pytest.mark.parametrize("times", [1, 2])
    def test_ctrl_c_then(self, times):
        """Once: the batch is finished, and no other is begun. Twice: it raises."""
        calls = []

        def loss(w, x):
            calls.append(opt.steps)
            if opt.steps == 2 and x[0] == 0:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)
            return bowl(w)

        opt = fa.ADAGRAD(loss, w := np.zeros(1), learning_rate=0.5)
        epochs = opt.iterate(np.ones(2), np.zeros(6), batch_size=1)
        next(epochs)
        if times == 1:
            epochs.close()
        else:
            with pytest.raises(KeyboardInterrupt):
                epochs.close()
        assert calls.count(2) == 1
        assert (w[0], opt.best.steps, opt.stopped_because) == (0, 0, "interrupted")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_where_the_data_stand_afterwards(self):
        data = [fa.Dataset(np.arange(9.0), batch_size=2, rng=5) for _ in range(2)]
        for each, leaving in zip(data, (True, False), strict=True):
            opt = fa.ADAGRAD(lambda w, x: bowl(w), np.zeros(1))
            for i, _ in enumerate(opt.iterate(each, max_epochs=3), 1):
                if leaving and i == 3:
                    break
        assert data[0].state() == data[1].state()

    @pytest.mark.parametrize("progress", [False, True])
    def test_left_open_when_python_exits(self, progress):
        done = run(f"""
            import numpy as np
            import fastadagrad as fa
            def loss(w):
                calls.append(1)
                return np.square(w - 3).sum(), 2 * (w - 3)
            calls = []
            epochs = fa.ADAGRAD(loss, np.zeros(1)).iterate(progress={progress})
            for _ in range(3):
                next(epochs)
            kept = [epochs]
            kept.append(kept)
            import atexit
            atexit.register(lambda: print(len(calls)))  # before the library's own
            class Last:
                def __del__(self, calls=calls, print=print):
                    print(len(calls))
            last = Last()
        """)
        assert (done.returncode, done.stdout) == (0, "4\n4\n")
        assert done.stderr.count("epoch/s") > 0 if progress else not done.stderr
        assert not {"Exception", "Traceback"} & {*done.stderr.split()}


CHANGED = "they have been changed since"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("patience", "restored from epoch 1, step 1, validation loss 2"),
        ("max_epochs", "restored from epoch 1, step 1, validation loss 2"),
        ("max_updates", "kept, validation loss 2"),
        ("error", "restored from epoch 1, step 1, validation loss 2"),
        ("non-finite loss", "restored from epoch 1, step 1, validation loss 2"),
    ],
)
def test_every_end_says_what_it_leaves(how, expected, caplog):
    losses = {"error": [3, 2, 9], "non-finite loss": [3, 2, math.nan]}.get(how, [3, 2, 9, 9])
    limits = {"patience": {"patience": 0}, "max_epochs": {"max_epochs": 3}, "max_updates": {"max_updates": 1}}
    opt, _ = scripted(losses, validate_every=1)
    with caplog.at_level(logging.INFO, "fastadagrad"):
        if how == "error":
            with pytest.raises(RuntimeError, match="StopIteration"):
                opt.minimize(TRAIN, VALID)
        else:
            opt.minimize(TRAIN, VALID, **limits.get(how, {}))
    assert caplog.messages[-1] == f"iteration ended ({how}): the best parameters are {expected}"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["training", "validation", "last validation"])
def test_a_loss_that_is_not_finite(value, where, caplog):
    if where == "training":
        opt, w = scripted([3, 2, 1, 0])
        opt._session.objective._loss = lambda w, x: 3 + w[0] if x[0] else (0.5 if opt.steps < 2 else value)
    else:
        opt, w = scripted([3, 2, value])
    opt.hyper.validate_every = 1
    max_epochs = 2 if where == "last validation" else None
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        _, valid = opt.minimize(TRAIN, VALID, max_epochs=max_epochs)
    assert opt.stopped_because == "non-finite loss"
    assert where.split()[-1] in caplog.text
    assert w[0] == pytest.approx(-opt.best.epoch, abs=1e-6)
    assert valid == opt.best.monitors
    assert opt.steps == 2


def test_the_first_validation_is_not_finite():
    opt, w = scripted([math.nan])
    train, valid = opt.minimize(TRAIN, VALID)
    assert (train, math.isnan(valid["loss"]), w[0], opt.best) == (None, True, 0, None)
    with pytest.raises(RuntimeError, match="validation"):
        opt.set_params()
