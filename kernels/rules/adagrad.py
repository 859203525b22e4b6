"""ADAGRAD: each element's step is divided by the root of its summed squared gradients.

    G <- G + g*g                g clipped, plus weight_decay * p
    H  = sqrt(G) + e            epsilon_inside: H = sqrt(G + e)
    d  = (a*g) / H              an element whose H is 0 does not move

with a = learning_rate, e = rms_regularizer, G starting at initial_accumulator_value.

References
----------
J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
JMLR 12 (2011), 2121-2159.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented

name = "adagrad"
example = """\
>>> def rosenbrock(x):
...     value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
...     slope = 200 * (x[1] - x[0] ** 2)
...     return value, np.array([-2 * x[0] * slope - 2 * (1 - x[0]), slope])
>>> x = np.array([-1.2, 1.0])
>>> opt = fa.ADAGRAD(rosenbrock, x, learning_rate=0.5)
>>> train, valid = opt.minimize(max_epochs=5000)
>>> valid["loss"] < 1e-3, opt.stopped_because
(True, 'max_epochs')
"""
slots = ("accumulator",)
squares = shares = rests = along_gradient = True
starts = ("initial_accumulator_value",)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_regularizer: float = documented(
        1e-8, "e, added to the root so that small sums of squares make no huge steps; in the gradient's unit."
    )
    epsilon_inside: bool = documented(False, "Add e under the root, in the unit of the squared gradient.")
    initial_accumulator_value: float = documented(0.0, "Where G begins; in the unit of the squared gradient.")


Scalars = namedtuple("Scalars", (*COMMON, "epsilon_under_root", "epsilon"))


def epsilons(e, inside):
    """The numbers added under the root and to the root: e and 0, or 0 and e.

    Adding 0 changes no bit, so one formula serves both forms.
    """
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
