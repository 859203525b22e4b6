"""FTRL-Proximal: follow the regularized leader, with per-coordinate rates and penalties l1 and l2.

    n' = n + g*g
    z  <- z + g - (sqrt(n') - sqrt(n)) / a * p ;  n <- n'
    p  <- 0 if |z| <= ftrl_l1, else  -(z - sign(z)*ftrl_l1) / ((ftrl_beta + sqrt(n)) / a + ftrl_l2)

with a = learning_rate, which may not be 0. Where n has become infinite, the middle term of z is left out, and p is 0.

Parameters should begin at 0, where z = 0 places them: the first step moves any other parameter there, and a row's first
gradient moves the row. Under a schedule all rows move: then choose ``lazy="touched"`` or ``"dense"`` for sparse
gradients.

References
----------
H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented, soft_threshold

name = "ftrl"
example = """\
>>> w = np.zeros(2)
>>> fa.FTRL(params=w, learning_rate=1, ftrl_l1=0.5).step(np.array([1.0, -0.25]))
>>> w
array([-0.25,  0.  ])
"""
slots = ("accumulator", "z")
squares = rests = rate_divides = True
starts = ("initial_accumulator_value",)
defaults = {"learning_rate": 0.1}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    ftrl_beta: float = documented(
        1.0, "Added to the root of n; in the gradient's unit. The larger, the smaller the first steps."
    )
    ftrl_l1: float = documented(0.0, "Penalty l1 on the size of a parameter; it makes parameters 0.")
    ftrl_l2: float = documented(0.0, "Penalty l2 on the half square of a parameter.")
    initial_accumulator_value: float = documented(0.0, "Where n begins; in the unit of the squared gradient.")


Scalars = namedtuple("Scalars", (*COMMON, "beta", "threshold", "ridge"))


def scalar_values(hyper, a, t):
    return hyper.ftrl_beta, hyper.ftrl_l1, hyper.ftrl_l2


def initial(hyper, a):
    return hyper.initial_accumulator_value, 0.0


def accumulate(p, g, square, own, s):
    n = own[0] + square
    kept = (sqrt(n) - sqrt(own[0])) / s.learning_rate * p
    return n, own[1] + g - (kept if n - n == s.zero else s.zero)  # an infinite n would make z not a number


def scale(own, s):
    return (s.beta + sqrt(own[0])) / s.learning_rate + s.ridge


def place(g, H, own, s):
    return soft_threshold(-own[1], s.threshold, s.zero) / H if H != s.zero else s.zero
