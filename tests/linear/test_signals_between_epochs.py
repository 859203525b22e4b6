"""Ctrl-C at every line by which an epoch of a linear model is closed, and a model taken over: files stay whole."""

import io
import signal
import sys

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.linear.epochs import Run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4))
Y = X[:, 0] + 0.1 * RNG.standard_normal(60) > 0
CLOSING = {Run._close_epoch.__code__, Run._keep.__code__}
TAKING = {fa.LinearModel._take.__code__}


def pressing_at(line, codes):
    """A tracer that presses Ctrl-C once, at so many lines of these functions; its count is in the list."""
    passed = [0]

    def within(frame, event, argument):
        if event == "line":
            passed[0] += 1
            if passed[0] == line:
                signal.raise_signal(signal.SIGINT)
        return within

    return passed, lambda frame, event, argument: within if frame.f_code in codes else None


def fitted(line, codes, validation):
    """A model whose fit has been interrupted, and whether that came to the caller."""
    model, raised = fa.LinearModel(max_epochs=4, learning_rate=0.1, validation=validation, average=False), False
    model.fit(X[:40], Y[:40])  # the older fit
    passed, tracer = pressing_at(line, codes)
    sys.settrace(tracer)
    try:
        model.fit(X, Y)
    except KeyboardInterrupt:
        raised = True
    finally:
        sys.settrace(None)
    return model, raised, passed[0]


@pytest.mark.parametrize("validation", [0.0, 0.2], ids=["all examples", "some for validation"])
@pytest.mark.parametrize("codes", [CLOSING, TAKING], ids=["closing an epoch", "taking over"])
def test_ctrl_c_at_any_line(codes, validation):
    line = passed = 0
    while passed == line:  # until the fit has fewer lines than that
        line += 1
        model, raised, passed = fitted(line, codes, validation)
        passed = min(passed, line)
        model.save(file := io.BytesIO())
        again = fa.LinearModel.load(io.BytesIO(file.getvalue()))
        assert 0 <= again.best_epoch <= len(again.history)
        assert [entry["epoch"] for entry in again.history] == [*range(1, len(again.history) + 1)]
        assert again.predict(X).tolist() == model.predict(X).tolist()
        assert raised or model.stopped_because in ("interrupted", "max_epochs")
    assert line > 8
