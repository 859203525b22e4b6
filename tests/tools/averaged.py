"""A rule of a user's own with two slots, registered for as long as a test runs."""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

import pytest
from own_rules import variant

import fastadagrad as fa
from fastadagrad.kernels.rules import COMMON
from fastadagrad.optimizer.methods import METHODS


class Averaged:
    """G <- G + weight*g*g ; S <- S + g ; d = a*(g + S) / (sqrt(G) + e)."""

    name = "family_test"
    slots = ("squares", "gradients")
    squares = True
    Scalars = namedtuple("Scalars", (*COMMON, "epsilon", "weight"))

    @dataclass(frozen=True, kw_only=True)
    class Hyperparameters:
        rms_regularizer: float = 1e-3
        weight: float = 0.5

    def scalar_values(hyper, a, t):
        return hyper.rms_regularizer, hyper.weight

    def initial(hyper, a):
        return 0.25, 0.0

    def accumulate(p, g, square, own, s):
        return own[0] + s.weight * square, own[1] + g

    def scale(own, s):
        return sqrt(own[0]) + s.epsilon

    def delta(g, H, own, s):
        return s.learning_rate * (g + own[1]) / H, own


@pytest.fixture
def registered():
    assert fa.register(Averaged) is Averaged
    yield Averaged.name
    del METHODS[Averaged.name]


def changed(**changes):
    return variant(Averaged, **changes)
