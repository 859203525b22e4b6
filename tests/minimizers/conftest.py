"""A rule of one's own, registered for a test."""

from collections import namedtuple
from dataclasses import dataclass

import pytest

import fastadagrad as fa
from fastadagrad.kernels.rules import COMMON
from fastadagrad.optimizer.methods import METHODS


class Sign:
    """Move each element by the rate against its gradient's sign."""

    name = "minimizer_sign"
    slots = ()
    rests = True
    Scalars = namedtuple("Scalars", COMMON)

    @dataclass(frozen=True, kw_only=True)
    class Hyperparameters:
        pass

    def scalar_values(hyper, a, t):
        return ()

    def initial(hyper, a):
        return ()

    def accumulate(p, g, square, own, s):
        return own

    def scale(own, s):
        return s.one

    def delta(g, H, own, s):
        return (s.learning_rate if g > s.zero else -s.learning_rate if g < s.zero else g), own


@pytest.fixture
def own_sign():
    fa.register(Sign)
    yield Sign
    del METHODS["minimizer_sign"]
