"""RDA: regularized dual averaging with an l1 penalty; the step size falls with the root of the number of steps.

    Z  <- Z + g
    p  <- P - (a * shrunk(Z)) / sqrt(t)
    shrunk(Z) = sign(Z) * max(0, |Z| - t*rda_l1)         t = 1 at the first step

with a = learning_rate and P the parameter's initial value.

All rows move in every step: choose ``lazy="touched"`` or ``"dense"`` for sparse gradients.

References
----------
L. Xiao, "Dual Averaging Methods for Regularized Stochastic Learning and Online Optimization", JMLR 11 (2010),
2543-2596, with gamma = 1/a.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, PARAMETER, adagrad_da, documented

name = "rda"
example = """\
>>> w = np.zeros(2)
>>> fa.RDA(params=w, learning_rate=0.5, rda_l1=0.25).step(np.array([1.0, -0.125]))
>>> w
array([-0.375,  0.   ])
"""
slots = ("gradient_sum", "origin")
timed = True


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rda_l1: float = documented(
        0.0, "By how much the threshold grows in a step, below which the sum of gradients counts as 0."
    )


Scalars = namedtuple("Scalars", (*COMMON, "threshold", "root"))


def scalar_values(hyper, a, t):
    return (t + 1) * hyper.rda_l1, sqrt(t + 1)


def initial(hyper, a):
    return 0.0, PARAMETER


def accumulate(p, g, square, own, s):
    return own[0] + g, own[1]


def scale(own, s):
    return s.root


place = adagrad_da.place_shrunk
