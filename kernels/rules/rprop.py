"""RProp: each element's step grows while its gradient keeps its sign and shrinks when that changes (iRprop-).

    the sign stays:    D <- min(D * rprop_increase, rprop_max_step)
    the sign changes:  D <- max(D * rprop_decrease, rprop_min_step) ;  g <- 0
    d  = sign(g) * D            D starts at learning_rate

The signs compared are those of this gradient and of the one before, which counts as 0 where it was set to 0. The method
is meant for gradients of the whole loss, not of minibatches.

References
----------
M. Riedmiller, H. Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm", ICNN 1993.
C. Igel, M. Huesken, "Improving the Rprop Learning Algorithm", NC 2000, Algorithm 4.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, documented

name = "rprop"
example = """\
>>> w = np.array([1.0, 1.0])
>>> fa.RProp(params=w, learning_rate=0.25).step(np.array([1e-9, -1e9]))
>>> w
array([0.75, 1.25])
"""
slots = ("step", "gradient")
penalised = False
starts = ("learning_rate",)


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    rprop_increase: float = documented(1.01, "Factor by which a step grows where the sign stays; at least 1.")
    rprop_decrease: float = documented(0.99, "Factor by which a step shrinks where the sign changes; at most 1.")
    rprop_min_step: float = documented(0.0, "Shortest step, in the parameter's unit.")
    rprop_max_step: float = documented(100.0, "Longest step, in the parameter's unit.")


Scalars = namedtuple("Scalars", (*COMMON, "increase", "decrease", "min_step", "max_step"))


def scalar_values(hyper, a, t):
    return hyper.rprop_increase, hyper.rprop_decrease, hyper.rprop_min_step, hyper.rprop_max_step


def refusal(hyper):
    if not hyper.rprop_decrease <= 1 <= hyper.rprop_increase:
        return "rprop_decrease must be at most 1, and rprop_increase at least 1"
    if hyper.rprop_min_step > hyper.rprop_max_step:
        return "rprop_min_step must be at most rprop_max_step"
    return None


def initial(hyper, a):
    return a, 0.0


def accumulate(p, g, square, own, s):
    """The signs are compared one by one: a product of both gradients may be too small for their dtype, and become 0."""
    step, before = own
    stays = (g > s.zero and before > s.zero) or (g < s.zero and before < s.zero)
    changes = (g > s.zero and before < s.zero) or (g < s.zero and before > s.zero)
    if stays:
        step = step * s.increase
        step = s.max_step if step > s.max_step else step
    if changes:
        step = step * s.decrease
        step = s.min_step if step < s.min_step else step
    return step, (s.zero if changes else g)


def scale(own, s):
    return s.one


def delta(g, H, own, s):
    step, gradient = own
    return (step if gradient > s.zero else (-step if gradient < s.zero else gradient)), own
