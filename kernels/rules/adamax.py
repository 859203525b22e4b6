"""AdaMax: each step is a running mean of gradients, without bias, divided by their largest size, which decays.

    M  <- b1*M + (1-b1)*g
    U  <- max(b2*U, |g|)
    H  = U + e
    d  = (a1*M) / H                         an element whose H is 0 does not move

with b1 = 2^(-1/beta1_halflife), b2 = 2^(-1/beta2_halflife), e = rms_regularizer, and in the t-th step, the first being
1, a1 = learning_rate / (1 - b1^t). It is Adam with the largest size in the place of the root of the mean square, as a
norm of infinite order. A step is hardly longer than the learning rate.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 2, which has no e.
"""

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, documented, share_kept, share_new

name = "adamax"
example = """\
>>> w = np.array([1.0, 1.0])
>>> fa.AdaMax(params=w, learning_rate=0.1, rms_regularizer=0).step(np.array([5.0, -0.01]))
>>> w
array([0.9, 1.1])
"""
slots = ("largest", "mean")
squares = timed = True


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    beta1_halflife: float = documented(
        7.0, "Steps after which a gradient counts half in M: -log(2)/log(b1). b1 = 0.9 is 6.5788."
    )
    beta2_halflife: float = documented(
        69.0, "Steps after which U, without gradients, is half as large: -log(2)/log(b2). b2 = 0.999 is 692.8."
    )
    rms_regularizer: float = documented(1e-8, "e, added to U; in the gradient's unit.")


Scalars = namedtuple("Scalars", (*COMMON, "kept1", "new1", "kept2", "step_size", "epsilon"))


def scalar_values(hyper, a, t):
    h1, h2 = hyper.beta1_halflife, hyper.beta2_halflife
    return share_kept(h1), share_new(h1), share_kept(h2), a / share_new(h1, t + 1), hyper.rms_regularizer


def initial(hyper, a):
    return 0.0, 0.0


def accumulate(p, g, square, own, s):
    faded, size = s.kept2 * own[0], abs(g)
    return (faded if faded > size else size), s.kept1 * own[1] + s.new1 * g


def scale(own, s):
    return own[0] + s.epsilon


def delta(g, H, own, s):
    return (s.step_size * own[1] / H if H != s.zero else s.zero), own
