"""Methods that need no learning rate."""

from __future__ import annotations

from typing import ClassVar

from ..engine.options import Rule
from ..kernels.rules import cocob, dadapt_adagrad, dog, dowg
from .optimizer import Optimizer

__all__ = ["COCOB", "DAdaptAdaGrad", "DoG", "DoWG"]


class COCOB(Optimizer):
    r"""COCOB-Backprop: bets on coins, without a learning rate.

    .. code-block:: text

        L  <- max(L, |g|) ;  S <- S + |g|       L starts at 1e-8
        R  <- max(R - (p - P)*g, 0) ;  T <- T - g
        p  <- P + T / L / max(S + L, cocob_alpha*L) * (L + R)

    with P where the parameter began. Momentum, decoupled decay and proximal penalties do not apply.

    Parameters
    ----------
    cocob_alpha : float, default 100
        The first steps are at most 1/cocob_alpha of |g|/L.
    **hyper
        As of `AdaGradDA`; `learning_rate` has no effect.

    References
    ----------
    F. Orabona, T. Tommasi, "Training Deep Networks without Learning Rates Through Coin Betting", NIPS 2017,
    Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> fa.COCOB(params=w, cocob_alpha=10).step(np.array([2.0]))
    >>> w
    array([0.9])
    """

    rule: ClassVar[Rule] = cocob


class DoG(Optimizer):
    r"""DoG: gradient descent by the distance gone so far over the root of the summed squared gradients.

    .. code-block:: text

        r  <- max(r, |p - P|, initial_distance * (1 + |P|))
        S  <- S + |g|^2
        d  = (a*r / sqrt(S + e)) * g

    with norms over all parameters together, and P where they began. Its authors average the parameters of all steps.

    Parameters
    ----------
    learning_rate : float or callable, default 1
        a.
    initial_distance : float, default 1e-6
        What r begins with, relative to 1 + |P|: the first step is that long.
    rms_regularizer : float, default 1e-8
        e.
    **hyper
        As of `SGD`, without `decoupled_weight_decay`, `l1` and `l2`. Sparse gradients need ``lazy="dense"``, and
        `get_updates` does not apply, as all elements are measured before any of them moves. `initial_distance` and
        `rms_regularizer` are the same for all groups.

    Attributes
    ----------
    learned : dict
        'distance' and 'sum_of_squares': r and S.

    References
    ----------
    M. Ivgi, O. Hinder, Y. Carmon, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size Schedule", ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([3.0, 4.0])
    >>> opt = fa.DoG(params=w, initial_distance=0.5)
    >>> opt.step(np.array([0.0, 2.0]))
    >>> w, opt.learned
    (array([3., 1.]), {'distance': 3.0, 'sum_of_squares': 4.0})
    """

    rule: ClassVar[Rule] = dog


class DoWG(Optimizer):
    r"""DoWG: `DoG` with squared gradients weighted by the squared distance at which they were met.

    .. code-block:: text

        R  <- max(R, |p - P|^2, initial_distance^2)
        W  <- W + R * |g|^2
        d  = (a*R / (sqrt(W) + e)) * g

    with norms over all parameters together, and P where they began.

    Parameters
    ----------
    learning_rate : float or callable, default 1
        a.
    initial_distance : float, default 0.01
    rms_regularizer : float, default 1e-4
        e.
    **hyper
        As of `DoG`.

    Attributes
    ----------
    learned : dict
        'squared_distance' and 'weighted_sum_of_squares': R and W.

    References
    ----------
    A. Khaled, K. Mishchenko, C. Jin, "DoWG Unleashed: An Efficient Universal Parameter-Free Gradient Descent Method",
    NeurIPS 2023, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([3.0, 4.0])
    >>> fa.DoWG(params=w, initial_distance=0.5, rms_regularizer=0).step(np.array([0.0, 2.0]))
    >>> w
    array([3. , 3.5])
    """

    rule: ClassVar[Rule] = dowg


class DAdaptAdaGrad(Optimizer):
    r"""AdaGrad by dual averaging whose step size is a lower bound of the distance to the solution, found on the way.

    .. code-block:: text

        at the beginning of a step, over all elements together:
            D  <- max(D, initial_distance, min(dadapt_growth*D, (sum S*S/H - W) / sum |S|))
                                                                    the last once there is an S beside 0
            W  <- W + D*D * sum (a*g)*(a*g)/H'                            H' with this step's gradient
        G  <- G + g*g
        H  = sqrt(G) + e
        S  <- S + (a*D)*g
        p  <- P - S/H

    with P where the parameter began. Momentum, decoupled decay and proximal penalties do not apply.

    Parameters
    ----------
    learning_rate : float or callable, default 1
        a.
    initial_distance : float, default 1e-6
    dadapt_growth : float, default 0
        D grows in a step at most by this factor; 0 is any.
    rms_regularizer : float, default 1e-6
        e.
    initial_accumulator_value : float, default 1e-6
        Where G begins.
    **hyper
        As of `DoG`.

    Attributes
    ----------
    learned : dict
        'distance' and 'weighted_sum_of_squares': D and W.

    References
    ----------
    A. Defazio, K. Mishchenko, "Learning-Rate-Free Learning by D-Adaptation", ICML 2023, Algorithm 3,
    as in the authors' code.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.zeros(3)
    >>> def loss(w):
    ...     return abs(w - 5).sum(), np.sign(w - 5)
    >>> opt = fa.DAdaptAdaGrad(loss, w)
    >>> train, valid = opt.minimize(max_epochs=400)
    >>> w.round(1), 0 < opt.learned["distance"] < 5
    (array([5., 5., 5.]), True)
    """

    rule: ClassVar[Rule] = dadapt_adagrad
