"""DoWG: the step size is R over the root of the sum of ``R * |g|^2``, R being the squared distance gone so far.

    R  <- max(R, |p - P|^2, initial_distance^2)
    W  <- W + R * |g|^2
    d  = (a*R / (sqrt(W) + e)) * g

with norms over all parameters together, P their initial values, e = rms_regularizer, a = learning_rate, meant to be 1.

All elements are measured before any of them moves: sparse gradients need ``lazy="dense"``, `get_updates` does not
apply, and the method's own hyperparameters are the same for all groups.

Attributes
----------
learned : dict
    'squared_distance' and 'weighted_sum_of_squares': R and W.

References
----------
A. Khaled, K. Mishchenko, C. Jin, "DoWG Unleashed: An Efficient Universal Parameter-Free Gradient Descent Method",
NeurIPS 2023, Algorithm 1.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented, dog

name = "dowg"
example = """\
>>> w = np.array([3.0, 4.0])
>>> fa.DoWG(params=w, initial_distance=0.5, rms_regularizer=0).step(np.array([0.0, 2.0]))
>>> w
array([3. , 3.5])
"""
slots = dog.slots
measured = ("gradient_squares", "distance_squares")
learned = ("squared_distance", "weighted_sum_of_squares")
rate_free = True
penalised = False
defaults = {"learning_rate": 1.0}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    initial_distance: float = documented(1e-2, "The root of what R begins with, in the parameters' unit. Above 0.")
    rms_regularizer: float = documented(1e-4, "e, added to the root of W.")


Scalars = namedtuple("Scalars", (*COMMON, "step_size"))


def measure(p, g, own, H, ahead, s):
    gone = p - own[0]
    return g * g, gone * gone


def learn(hyper, known, sums):
    squared_distance, weighted = known
    gradient, gone = sums
    squared_distance = max(squared_distance, gone, hyper.initial_distance * hyper.initial_distance)
    return squared_distance, weighted + squared_distance * gradient


def scalar_values(hyper, a, t, squared_distance, weighted):
    H = sqrt(weighted) + hyper.rms_regularizer
    return (a * squared_distance / H if H else 0.0,)


initial, accumulate, scale, delta, refusal = dog.initial, dog.accumulate, dog.scale, dog.delta, dog.refusal
