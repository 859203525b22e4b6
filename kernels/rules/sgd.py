"""SGD: a step against the gradient.

    d  = a*g                    a = learning_rate

With momentum this is the method of Polyak, and with Nesterov's that of Sutskever et al.

References
----------
H. Robbins, S. Monro, "A Stochastic Approximation Method", Annals of Mathematical Statistics 22 (1951), 400-407.
I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning",
ICML 2013.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON

name = "sgd"
example = """\
>>> w = np.array([1.0, -2.0])
>>> fa.SGD(params=w, learning_rate=0.5).step(np.array([0.5, -1.0]))
>>> w
array([ 0.75, -1.5 ])
"""
slots = ()
rests = along_gradient = True


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
