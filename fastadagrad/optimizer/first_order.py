"""Methods without adaptive rates."""

from __future__ import annotations

from typing import ClassVar

from ..engine.options import Rule
from ..kernels.rules import nag, sgd
from .optimizer import Optimizer

__all__ = ["NAG", "SGD"]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum or Nesterov's if it is given.

    .. code-block:: text

        d  = a*g

    Parameters
    ----------
    **hyper
        As of `ADAGRAD`, but for its own: `learning_rate`, `momentum`, `nesterov`, clipping, decay, `l1`, `l2`, ...

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep learning",
    ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0, -2.0])
    >>> fa.SGD(params=w, learning_rate=0.5).step(np.array([0.5, -1.0]))
    >>> w
    array([ 0.75, -1.5 ])
    """

    rule: ClassVar[Rule] = sgd


class NAG(Optimizer):
    r"""`SGD` with ``nesterov=True``: Nesterov's accelerated gradient once `momentum` is given.

    .. code-block:: text

        v <- m*v - a*g ;  p <- p + (m*v - a*g)

    Parameters
    ----------
    **hyper
        As of `SGD`, but for `nesterov`, which is True whatever is given, as in downhill; `SGD` has both.

    References
    ----------
    Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)", Soviet Mathematics
    Doklady 27 (1983), 372-376.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> fa.NAG(params=w, learning_rate=0.5, momentum=0.5).step(np.array([1.0]))
    >>> w
    array([0.25])
    """

    rule: ClassVar[Rule] = nag
