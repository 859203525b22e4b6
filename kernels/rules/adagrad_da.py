"""AdaGrad by dual averaging: a parameter is computed from the sum of its gradients; with rda_l1 it is AdaGrad-RDA.

    Z  <- Z + g
    G  <- G + g*g
    H  = sqrt(G) + e
    p  <- P - (a * shrunk(Z)) / H           shrunk(Z) = sign(Z) * max(0, |Z| - t*rda_l1); P where H is 0

in the t-th step, the first being 1, with a = learning_rate, e = rms_regularizer, and P the parameter's initial value.

Under `rda_l1` or a schedule all rows move: then choose ``lazy="touched"`` or ``"dense"`` for sparse gradients.

References
----------
J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12
(2011), 2121-2159, equations (3) and (19).
L. Xiao, "Dual Averaging Methods for Regularized Stochastic Learning and Online Optimization", JMLR 11 (2010).
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, PARAMETER, documented, soft_threshold

name = "adagrad_da"
example = """\
>>> w = np.array([1.0])
>>> opt = fa.AdaGradDA(params=w, learning_rate=0.5, rms_regularizer=0)
>>> for g in (3.0, 4.0):
...     opt.step(np.array([g]))
>>> w
array([0.3])
"""
starts = ("initial_accumulator_value",)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_regularizer: float = documented(1e-8, "e, added to the root; in the gradient's unit.")
    initial_accumulator_value: float = documented(0.0, "Where G begins; in the unit of the squared gradient.")
    rda_l1: float = documented(
        0.0, "By how much the threshold grows in a step, below which the sum of gradients counts as 0."
    )


Scalars = namedtuple("Scalars", (*COMMON, "epsilon", "threshold"))


def scalar_values(hyper, a, t):
    return hyper.rms_regularizer, (t + 1) * hyper.rda_l1


def form(hyper):
    return Regularized if hyper.rda_l1 else Plain


def initial(hyper, a):
    return hyper.initial_accumulator_value, 0.0, PARAMETER


def accumulate(p, g, square, own, s):
    return own[0] + square, own[1] + g, own[2]


def scale(own, s):
    return sqrt(own[0]) + s.epsilon


def place(g, H, own, s):
    return own[2] - s.learning_rate * own[1] / H if H != s.zero else own[2]


def place_shrunk(g, H, own, s):
    Z, P = own[-2:]
    return P - s.learning_rate * soft_threshold(Z, s.threshold, s.zero) / H if H != s.zero else P


class Plain:
    """The form without l1: an element whose gradient is 0 stays where it is."""

    name, Scalars, squares, rests = "adagrad_da", Scalars, True, True
    slots = ("accumulator", "gradient_sum", "origin")
    initial, accumulate, scale = staticmethod(initial), staticmethod(accumulate), staticmethod(scale)
    place = staticmethod(place)


class Regularized:
    """The form with l1, AdaGrad-RDA: its threshold grows with each step, so that elements without a gradient move."""

    name, Scalars, squares, timed = "adagrad_rda", Scalars, True, True
    slots = Plain.slots
    initial, accumulate, scale = staticmethod(initial), staticmethod(accumulate), staticmethod(scale)
    place = staticmethod(place_shrunk)
