"""RMSProp: each element's step is divided by the root of a running mean of its squared gradients.

    G  <- r*G + (1-r)*g*g
    F  <- r*F + (1-r)*g                     if centered
    H  = sqrt(G - F*F + e)                  the difference not below 0; without F if not centered
    d  = (a*g) / H                          an element whose H is 0 does not move

with r = 2^(-1/rms_halflife), a = learning_rate, e = rms_regularizer; with epsilon_inside=False e is added to the root.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850, equations (38) to (45).
T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", COURSERA: Neural Networks for Machine Learning, 2012.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import sqrt

from . import COMMON, documented, share_kept, share_new
from .adagrad import delta, epsilons, scale

name = "rmsprop"
example = """\
>>> w = np.array([1.0])
>>> fa.RMSProp(params=w, learning_rate=0.1, rms_halflife=1, rms_regularizer=0).step(np.array([2.0]))
>>> w
array([0.8])
"""


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rms_halflife: float = documented(14.0, "Steps after which a gradient counts half in the means.")
    rms_regularizer: float = documented(
        1e-8, "e, in the unit of the squared gradient; in the gradient's with epsilon_inside=False."
    )
    epsilon_inside: bool = documented(True, "Whether e is under the root; else it is added to the root.")
    centered: bool = documented(True, "Graves' form, which subtracts F*F. Chosen when the optimizer is made.")


Scalars = namedtuple("Scalars", (*COMMON, "kept", "new", "epsilon_under_root", "epsilon"))


def scalar_values(hyper, a, t):
    h, e = hyper.rms_halflife, hyper.rms_regularizer
    return share_kept(h), share_new(h), *epsilons(e, hyper.epsilon_inside)


def form(hyper):
    return Centered if hyper.centered else Plain


def accumulate(p, g, square, own, s):
    return (s.kept * own[0] + s.new * square,)


def accumulate_mean_too(p, g, square, own, s):
    return s.kept * own[0] + s.new * square, s.kept * own[1] + s.new * g


def scale_by_variance(own, s):
    variance = own[0] - own[1] * own[1]
    variance = s.zero if variance < s.zero else variance
    return sqrt(variance + s.epsilon_under_root) + s.epsilon


class Plain:
    """The form without the mean of gradients."""

    name, Scalars, squares, along_gradient = "rmsprop_plain", Scalars, True, True
    slots = ("mean_square",)
    initial = staticmethod(lambda hyper, a: (0.0,))
    accumulate, scale, delta = staticmethod(accumulate), staticmethod(scale), staticmethod(delta)


class Centered:
    """The form of Graves, which subtracts the squared mean of gradients from the mean square."""

    name, Scalars, squares, along_gradient = "rmsprop", Scalars, True, True
    slots = ("mean_square", "mean")
    initial = staticmethod(lambda hyper, a: (0.0, 0.0))
    accumulate, scale = staticmethod(accumulate_mean_too), staticmethod(scale_by_variance)
    delta = staticmethod(delta)
