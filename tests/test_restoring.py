"""The best parameters, restored however an iteration ends; losses that are not finite."""

import logging
import math

import numpy as np
import pytest
from runs import TRAIN, VALID, scripted

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
        opt.objective._gradient = lambda w, x: np.full(1, np.nan if opt.steps == 2 else 1.0)
        with pytest.raises(FloatingPointError):
            opt.minimize(TRAIN, VALID)
        assert w.round(6) == -1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["training", "validation", "last validation"])
def test_a_loss_that_is_not_finite(value, where, caplog):
    if where == "training":
        opt, w = scripted([3, 2, 1, 0])
        opt.objective._loss = lambda w, x: 3 + w[0] if x[0] else (0.5 if opt.steps < 2 else value)
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
