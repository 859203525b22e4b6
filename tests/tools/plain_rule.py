"""A rule of a user's own as a module, without slots: the parameter loses the gradient times the learning rate."""

from collections import namedtuple
from dataclasses import dataclass

from fastadagrad.kernels.rules import COMMON

name, slots, rests = "plain_rule", (), True
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
    return s.learning_rate * g, own
