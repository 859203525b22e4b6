"""COCOB-Backprop: coin betting, without a learning rate.

    L  <- max(L, |g|)
    S  <- S + |g|
    R  <- max(R - (p - P)*g, 0)
    T  <- T - g
    p  <- P + T / L / max(S + L, cocob_alpha*L) * (L + R)

with P the parameter's initial value. L starts at 1e-8. `learning_rate` and `lr_decay` have no effect.

References
----------
F. Orabona, T. Tommasi, "Training Deep Networks without Learning Rates Through Coin Betting", NIPS 2017, Algorithm 2.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, PARAMETER, documented

name = "cocob"
example = """\
>>> w = np.array([1.0])
>>> fa.COCOB(params=w, cocob_alpha=10).step(np.array([2.0]))
>>> w
array([0.9])
"""
rests = rate_free = True
takes_rate = False
slots = ("largest", "sum_of_sizes", "reward", "gradient_sum", "origin")


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    cocob_alpha: float = documented(100.0, "The first steps are at most 1/cocob_alpha of abs(g)/L.")


Scalars = namedtuple("Scalars", (*COMMON, "alpha"))


def scalar_values(hyper, a, t):
    return (hyper.cocob_alpha,)


def initial(hyper, a):
    return 1e-8, 0.0, 0.0, 0.0, PARAMETER


def accumulate(p, g, square, own, s):
    L, S, R, T, P = own
    size = abs(g)
    L = L if L > size else size
    R = R - (p - P) * g
    return L, S + size, (s.zero if R < s.zero else R), T - g, P


def scale(own, s):
    L, S = own[0], own[1]
    sum_, least = S + L, s.alpha * L
    return sum_ if sum_ > least else least


def place(g, H, own, s):
    L, _, R, T, P = own
    return P + T / L / H * (L + R)
