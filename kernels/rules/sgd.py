"""SGD: a step against the gradient.

    d  = a*g                    a = learning_rate

With momentum m this is the method of Polyak, and with Nesterov's that of Sutskever et al.: see :mod:`..motion`.

H. Robbins, S. Monro, "A Stochastic Approximation Method", Annals of Mathematical Statistics 22 (1951), 400-407.
I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning",
ICML 2013.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON

name = "sgd"
slots = ()
rests = True


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Nothing beside the options of all methods."""


Scalars = namedtuple("Scalars", COMMON)


def scalar_values(hyper, a, t):
    return ()


def initial(hyper, a):
    return ()


def accumulate(p, g, square, own, s):
    return own


def scale(own, s):
    return s.one


def delta(g, H, own, s):
    return s.learning_rate * g, own
