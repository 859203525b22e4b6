"""ESGD: each element's step is divided by the root of a running mean of its squared Hessian-vector products.

    D  <- r*D + (1-r)*(u*u)                 u = (Hessian * z), z drawn anew in each step, independent standard normal
    H  = sqrt(D) + e                        epsilon_inside: sqrt(D + e)
    d  = (a*g) / H                          an element whose H is 0 does not move

with r = 2^(-1/rms_halflife), a = learning_rate, e = rms_regularizer. With `averaged`, r = t/(t+1) in step t, the first
being 0, so that D is the mean of all squares so far. On average u*u is the sum of squares of the element's row of the
Hessian. `iterate` and `minimize` form u on the batch of each step; `step` takes u as an argument.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
Y. Dauphin, H. de Vries, Y. Bengio, "Equilibrated adaptive learning rates for non-convex optimization", NIPS 2015,
Algorithm 1, which is `averaged`.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, documented, share_kept, share_new
from .adagrad import delta, epsilons, scale

name = "esgd"
example = """\
>>> curvature = np.array([100.0, 1.0, 0.01])
>>> w = np.ones(3)
>>> opt = fa.ESGD(lambda w: (w @ (curvature * w) / 2, curvature * w), w, hv=lambda w, z: curvature * z, hv_rng=0)
>>> train, valid = opt.minimize(max_epochs=400, learning_rate=0.05, averaged=True)
>>> bool((abs(w) < 0.01).all())
True
"""


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_halflife: float = documented(14.0, "Steps after which a product counts half in the mean.")
    rms_regularizer: float = documented(1e-8, "e, added to the root; in the unit of the products.")
    epsilon_inside: bool = documented(False, "Add e under the root, in the unit of the squared products.")
    averaged: bool = documented(
        False, "Let D be the mean of all products so far, as in the paper. Chosen when the optimizer is made."
    )


Scalars = namedtuple("Scalars", (*COMMON, "kept", "new", "epsilon_under_root", "epsilon"))


def scalar_values(hyper, a, t):
    kept, new = share_kept(hyper.rms_halflife), share_new(hyper.rms_halflife)
    if hyper.averaged:
        kept, new = t / (t + 1), 1 / (t + 1)
    return kept, new, *epsilons(hyper.rms_regularizer, hyper.epsilon_inside)


def form(hyper):
    return Averaged if hyper.averaged else Running


def accumulate(p, g, square, own, s):
    return s.kept * own[0] + s.new * (own[1] * own[1]), own[1]


class Running:
    """The form with a running mean of squared products."""

    name, Scalars, squares = "esgd", Scalars, True
    slots, fed = ("mean_square", "product"), "product"
    initial = staticmethod(lambda hyper, a: (0.0, 0.0))
    accumulate, scale, delta = staticmethod(accumulate), staticmethod(scale), staticmethod(delta)


class Averaged(Running):
    """The form with the mean of all squared products so far."""

    timed = True
