"""D-Adapted AdaGrad: dual averaging whose step size is a lower bound of the distance to the solution.

    at the beginning of a step, over all elements together:
        D  <- max(D, initial_distance, min(dadapt_growth*D, (sum S*S/H - W) / sum |S|))
                                                                the quotient only once some S is not 0
        W  <- W + D*D * sum (a*g)*(a*g)/H'                      H' with this step's gradient
    G  <- G + g*g
    H  = sqrt(G) + e
    S  <- S + (a*D)*g
    p  <- P - S/H                                               P is the parameter's initial value

with e = rms_regularizer, a = learning_rate, meant to be 1.

All elements are measured before any of them moves: sparse gradients need ``lazy="dense"``, `get_updates` does not
apply, and the method's own hyperparameters are the same for all groups.

Attributes
----------
learned : dict
    'distance' and 'weighted_sum_of_squares': D and W.

References
----------
A. Defazio, K. Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML 2023, Algorithm 3, as in the authors'
code.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, adagrad_da, documented, dog

name = "dadapt_adagrad"
example = """\
>>> w = np.zeros(3)
>>> def loss(w):
...     return abs(w - 5).sum(), np.sign(w - 5)
>>> opt = fa.DAdaptAdaGrad(loss, w)
>>> train, valid = opt.minimize(max_epochs=400)
>>> w.round(1), 0 < opt.learned["distance"] < 5
(array([5., 5., 5.]), True)
"""
slots = ("accumulator", "weighted_sum", "origin")
measured = ("steps", "step_sizes", "gradients")
learned = ("distance", "weighted_sum_of_squares")
squares = rate_free = True
starts = ("initial_accumulator_value",)
defaults = {"learning_rate": 1.0}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    initial_distance: float = documented(1e-6, "What D begins with, in the parameters' unit. Above 0.")
    dadapt_growth: float = documented(0.0, "The most by which D grows in a step, as a factor; 0 sets no limit.")
    rms_regularizer: float = documented(1e-6, "e, added to the root; in the gradient's unit.")
    initial_accumulator_value: float = documented(1e-6, "Where G begins; in the unit of the squared gradient.")


Scalars = namedtuple("Scalars", (*COMMON, "epsilon", "weight"))


def measure(p, g, own, H, ahead, s):
    S, weighted = own[1], s.learning_rate * g
    steps = S * S / H if H != s.zero else s.zero
    return steps, abs(S), (weighted * weighted / ahead if ahead != s.zero else s.zero)


def learn(hyper, known, sums):
    distance, weighted = known
    steps, sizes, gradients = sums
    if sizes:
        bound = (steps - weighted) / sizes
        distance = max(distance, min(bound, hyper.dadapt_growth * distance) if hyper.dadapt_growth else bound)
    distance = max(distance, hyper.initial_distance)
    return distance, weighted + distance * distance * gradients


initial, scale, refusal = adagrad_da.initial, adagrad_da.scale, dog.refusal


def scalar_values(hyper, a, t, distance, weighted):
    return hyper.rms_regularizer, a * distance


def accumulate(p, g, square, own, s):
    return own[0] + square, own[1] + s.weight * g, own[2]


def place(g, H, own, s):
    return own[2] - own[1] / H if H != s.zero else own[2]
