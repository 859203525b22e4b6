"""Adam: each step is a running mean of gradients, divided by the root of that of their squares, both without bias.

    V  <- b2*V + (1-b2)*g*g
    M  <- b1*M + (1-b1)*g
    H  = sqrt(V) * c + e                    amsgrad: sqrt(W), W <- max(W, V)
    d  = (a1*M) / H                         an element whose H is 0 does not move

with b1 = 2^(-1/beta1_halflife), b2 = 2^(-1/beta2_halflife), e = rms_regularizer, and in the t-th step, the first being
1, a1 = learning_rate / (1 - b1^t) and c = 1 / sqrt(1 - b2^t). `decoupled_weight_decay` makes it AdamW.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1.
I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
S. Reddi, S. Kale, S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented, share_kept, share_new

name = "adam"
example = """\
>>> w = np.array([1.0, 1.0])
>>> fa.Adam(params=w, learning_rate=0.1).step(np.array([5.0, -0.01]))
>>> w.round(6)
array([0.9, 1.1])
"""


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    beta1_halflife: float = documented(
        7.0, "Steps after which a gradient counts half in M: -log(2)/log(b1). b1 = 0.9 is 6.5788."
    )
    beta2_halflife: float = documented(
        69.0, "Steps after which a squared gradient counts half in V: -log(2)/log(b2). b2 = 0.999 is 692.8."
    )
    rms_regularizer: float = documented(1e-8, "e, added to the root; in the gradient's unit.")
    amsgrad: bool = documented(False, "Divide by the root of the largest V so far. Chosen when the optimizer is made.")


Scalars = namedtuple("Scalars", (*COMMON, "kept1", "new1", "kept2", "new2", "step_size", "correction", "epsilon"))


def scalar_values(hyper, a, t):
    h1, h2 = hyper.beta1_halflife, hyper.beta2_halflife
    rates = a / share_new(h1, t + 1), 1 / sqrt(share_new(h2, t + 1))
    return share_kept(h1), share_new(h1), share_kept(h2), share_new(h2), *rates, hyper.rms_regularizer


def form(hyper):
    return Amsgrad if hyper.amsgrad else Plain


def accumulate(p, g, square, own, s):
    return s.kept2 * own[0] + s.new2 * square, s.kept1 * own[1] + s.new1 * g


def scale(own, s):
    return sqrt(own[0]) * s.correction + s.epsilon


def accumulate_largest_too(p, g, square, own, s):
    V, M = s.kept2 * own[0] + s.new2 * square, s.kept1 * own[1] + s.new1 * g
    return V, M, (own[2] if own[2] > V else V)


def scale_by_largest(own, s):
    return sqrt(own[2]) * s.correction + s.epsilon


def delta(g, H, own, s):
    return (s.step_size * own[1] / H if H != s.zero else s.zero), own


class Plain:
    """The form of Adam and AdamW."""

    name, Scalars, squares, timed = "adam", Scalars, True, True
    slots = ("mean_square", "mean")
    initial = staticmethod(lambda hyper, a: (0.0, 0.0))
    accumulate, scale, delta = staticmethod(accumulate), staticmethod(scale), staticmethod(delta)


class Amsgrad:
    """The form that divides by the root of the largest mean square so far."""

    name, Scalars, squares, timed = "adam_amsgrad", Scalars, True, True
    slots = ("mean_square", "mean", "largest_mean_square")
    initial = staticmethod(lambda hyper, a: (0.0, 0.0, 0.0))
    accumulate, scale = staticmethod(accumulate_largest_too), staticmethod(scale_by_largest)
    delta = staticmethod(delta)
