"""ADAGRAD: each element's step is divided by the root of its summed squared gradients.

    G <- G + g*g
    H  = sqrt(G) + e            (epsilon_inside: H = sqrt(G + e))
    d  = (a*g) / H              (an element whose H is 0 does not move)

with a = learning_rate, e = rms_regularizer, G starting at initial_accumulator_value.

J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
Optimization", JMLR 12 (2011), 2121-2159.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON

name = "adagrad"
slots = ("accumulator",)
squares = shares = rests = True
starts = ("initial_accumulator_value",)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_regularizer: float = 1e-8
    epsilon_inside: bool = False
    initial_accumulator_value: float = 0.0


Scalars = namedtuple("Scalars", (*COMMON, "epsilon_under_root", "epsilon"))


def epsilons(e, inside):
    """Adding the 0 of the form that is not in use changes no bit, so one formula serves both."""
    return (e, 0.0) if inside else (0.0, e)


def scalar_values(hyper, a, t):
    return epsilons(hyper.rms_regularizer, hyper.epsilon_inside)


def initial(hyper, a):
    return (hyper.initial_accumulator_value,)


def accumulate(p, g, square, own, s):
    return (own[0] + square,)


def scale(own, s):
    return sqrt(own[0] + s.epsilon_under_root) + s.epsilon


def delta(g, H, own, s):
    return (s.learning_rate * g / H if H != s.zero else s.zero), own
