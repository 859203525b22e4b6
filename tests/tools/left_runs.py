"""Runs that are left in their midst, and go on from their checkpoints."""

import os

import pytest
from checkpoints import Model, X, Y

LIMITS = {"max_epochs": 9, "patience": 3}


class LeftError(Exception):
    pass


def run_of(folder=None, body=None, limits=LIMITS, **more):
    """A run with a schedule, momentum of its own, a shuffled Dataset, and an array of updates, under `folder`."""
    model = Model(saver=lambda model: None)
    given = {} if folder is None else {"checkpoint": folder, **more}
    model.yielded = 0
    for _ in model.opt.iterate(model.data, (X, Y), **{**Model.RUN, **limits}, **given):
        model.yielded += 1
        if body is not None:
            body(model)
    return model


def everything(model):
    return {**model.everything(), "validations": model.opt.history.validations, "seen": float(model.seen)}


def leaving(*epochs):
    """A body that leaves the loop once in each of these epochs."""
    left = [*epochs]

    def body(model):
        if left and model.opt.history[-1].epoch == left[0]:
            left.pop(0)
            raise LeftError

    return body


def killed(folder, times, body=None, **more):
    """A run that is left so many times, the last of which comes to its end."""
    leave = leaving(*times)

    def both(model):
        leave(model)
        if body is not None:
            body(model)

    for _ in times:
        with pytest.raises(LeftError):
            run_of(folder, both, resume=True, **more)
    return run_of(folder, both, resume=True, **more)


def names(folder):
    return sorted(os.listdir(folder))
