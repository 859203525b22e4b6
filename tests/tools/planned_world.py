"""Losses, monitors, data and schedules of tests in which each of these may be planned to fail at some call."""

import math

import numpy as np


class Planned(Exception):
    """An error that a test lets a loss, a monitor or the body of a loop raise."""


class World:
    """What losses, monitors and data of a test have in common: how often each was called, and what goes wrong when."""

    def __init__(self):
        self.begin({})

    def begin(self, faults):
        """Count from 0 again; `faults` are pairs of a number of call and a fault, by what is called."""
        self.calls, self.faults = {"loss": 0, "monitor": 0, "train": 0, "valid": 0}, faults

    def called(self, what):
        self.calls[what] += 1
        at, fault = self.faults.get(what, (0, None))
        if at == self.calls[what]:
            if fault == "interrupt":
                raise KeyboardInterrupt
            if fault == "error":
                raise Planned
            return fault
        return None


WORLD = World()


def loss(params, *batch):
    """Half the squared distance from a number that the batch says, and its gradients."""
    fault = WORLD.called("loss")
    at = float(batch[0].mean()) if batch else 0.25
    gradients = {name: np.asarray(p - p.dtype.type(at)) for name, p in params.items()}
    value = sum(float(np.sum(np.square(g.astype(np.float64)))) for g in gradients.values()) / 2
    return math.nan if fault == "nan" else value, gradients


def monitor(params, *batch):
    WORLD.called("monitor")
    return float(sum(np.sum(p.astype(np.float64)) for p in params.values()))


def _batch(what):
    WORLD.called(what)
    return (np.full(2, 0.1 * (WORLD.calls[what] % 5)),)


def train_data():
    return _batch("train")


def valid_data():
    return _batch("valid")


def falling(t):
    """A schedule."""
    return 0.2 / (1 + t) ** 0.5


def waving(t):
    """Another schedule."""
    return 0.05 * (1.5 + math.cos(t / 3))
