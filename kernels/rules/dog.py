"""DoG: the step size is the distance gone so far over the root of the summed squared gradients.

    r  <- max(r, |p - P|, initial_distance * (1 + |P|))
    S  <- S + |g|^2
    d  = (a*r / sqrt(S + e)) * g

with norms over all parameters together, P their initial values, e = rms_regularizer, a = learning_rate, meant to be 1.
The authors of the method average the parameters of all steps.

All elements are measured before any of them moves: sparse gradients need ``lazy="dense"``, `get_updates` does not
apply, and the method's own hyperparameters are the same for all groups.

Attributes
----------
learned : dict
    'distance' and 'sum_of_squares': r and S.

References
----------
M. Ivgi, O. Hinder, Y. Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule", ICML 2023.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, PARAMETER, documented, sgd

name = "dog"
example = """\
>>> w = np.array([3.0, 4.0])
>>> opt = fa.DoG(params=w, initial_distance=0.5)
>>> opt.step(np.array([0.0, 2.0]))
>>> w, opt.learned
(array([3., 1.]), {'distance': 3.0, 'sum_of_squares': 4.0})
"""
slots = ("origin",)
measured = ("gradient_squares", "distance_squares", "origin_squares")
learned = ("distance", "sum_of_squares")
rate_free = True
penalised = False
defaults = {"learning_rate": 1.0}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    initial_distance: float = documented(
        1e-6, "What r begins with, relative to 1 + abs(P): the first step is that long. Above 0."
    )
    rms_regularizer: float = documented(1e-8, "e, in the unit of the squared gradient.")


Scalars = namedtuple("Scalars", (*COMMON, "step_size"))


def measure(p, g, own, H, ahead, s):
    gone = p - own[0]
    return g * g, gone * gone, own[0] * own[0]


def learn(hyper, known, sums):
    distance, squares = known
    gradient, gone, origin = sums
    return max(distance, sqrt(gone), hyper.initial_distance * (1 + sqrt(origin))), squares + gradient


def refusal(hyper):
    return None if hyper.initial_distance else "initial_distance must be above 0: steps begin from it"


def scalar_values(hyper, a, t, distance, squares):
    root = sqrt(squares + hyper.rms_regularizer)
    return (a * distance / root if root else 0.0,)


def initial(hyper, a):
    return (PARAMETER,)


accumulate, scale = sgd.accumulate, sgd.scale


def delta(g, H, own, s):
    return s.step_size * g, own
