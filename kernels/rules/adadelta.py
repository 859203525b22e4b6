"""ADADELTA: each element's gradient is multiplied by the ratio of two running means: of its steps and of its gradients.

    G  <- r*G + (1-r)*g*g
    H  = sqrt(G + e)
    u  = (g * sqrt(X + e)) / H              0 where H is 0
    X  <- r*X + (1-r)*u*u
    d  = a*u

with r = 2^(-1/rms_halflife), e = rms_regularizer and a = learning_rate, 1 unless it is set.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented, share_kept, share_new

name = "adadelta"
example = """\
>>> w = np.array([1.0])
>>> fa.ADADELTA(params=w, rms_halflife=1, rms_regularizer=0.5).step(np.array([1.0]))
>>> w.round(4)
array([0.2929])
"""
slots = ("mean_square", "mean_square_step")
squares = True
penalised = False
defaults = {"learning_rate": 1.0}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_halflife: float = documented(14.0, "Steps after which a gradient, and a step, counts half in the means.")
    rms_regularizer: float = documented(1e-8, "e, from which the steps begin: above 0.")


Scalars = namedtuple("Scalars", (*COMMON, "kept", "new", "epsilon"))


def scalar_values(hyper, a, t):
    return share_kept(hyper.rms_halflife), share_new(hyper.rms_halflife), hyper.rms_regularizer


def refusal(hyper):
    return None if hyper.rms_regularizer else "rms_regularizer must be above 0: steps begin from it"


def initial(hyper, a):
    return 0.0, 0.0


def accumulate(p, g, square, own, s):
    return s.kept * own[0] + s.new * square, own[1]


def scale(own, s):
    return sqrt(own[0] + s.epsilon)


def delta(g, H, own, s):
    u = g * sqrt(own[1] + s.epsilon) / H if H != s.zero else s.zero
    return s.learning_rate * u, (own[0], s.kept * own[1] + s.new * (u * u))
