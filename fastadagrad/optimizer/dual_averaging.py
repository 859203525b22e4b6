"""Dual averaging: parameters set by the sum of all gradients."""

from __future__ import annotations

from typing import ClassVar

from ..engine.options import Rule
from ..kernels.rules import adagrad_da, ftrl, rda
from .optimizer import Optimizer

__all__ = ["FTRL", "RDA", "AdaGradDA"]


class AdaGradDA(Optimizer):
    r"""AdaGrad by dual averaging; AdaGrad-RDA with `rda_l1`.

    .. code-block:: text

        Z  <- Z + g
        G  <- G + g*g
        p  <- P - (a * shrunk(Z)) / (sqrt(G) + e)
        shrunk(Z) = sign(Z) * max(0, |Z| - t*rda_l1)         t = 1 at the first step

    with P where the parameter began. Momentum, decoupled decay and proximal penalties do not apply.

    Parameters
    ----------
    rms_regularizer : float, default 1e-8
        e.
    initial_accumulator_value : float, default 0
    rda_l1 : float, default 0
    **hyper
        As of `ADAGRAD`, but for its own. Under `rda_l1` or a schedule all rows move: then choose ``lazy="touched"`` or
        ``"dense"`` for sparse gradients.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    JMLR 12 (2011), 2121-2159.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> opt = fa.AdaGradDA(params=w, learning_rate=0.5, rms_regularizer=0)
    >>> for g in (3.0, 4.0):
    ...     opt.step(np.array([g]))
    >>> w
    array([0.3])
    """

    rule: ClassVar[Rule] = adagrad_da


class RDA(Optimizer):
    r"""Regularized dual averaging: steps shrink with the root of their number, and l1 makes parameters sparse.

    .. code-block:: text

        Z  <- Z + g
        p  <- P - (a * shrunk(Z)) / sqrt(t)                  t = 1 at the first step
        shrunk(Z) = sign(Z) * max(0, |Z| - t*rda_l1)

    with P where the parameter began. Momentum, decoupled decay and proximal penalties do not apply.

    Parameters
    ----------
    rda_l1 : float, default 0
    **hyper
        As of `ADAGRAD`, but for its own. All rows move in every step: choose ``lazy="touched"`` or ``"dense"`` for
        sparse gradients.

    References
    ----------
    L. Xiao, "Dual Averaging Methods for Regularized Stochastic Learning and Online Optimization", JMLR 11 (2010),
    2543-2596, with gamma = 1/a.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.zeros(2)
    >>> fa.RDA(params=w, learning_rate=0.5, rda_l1=0.25).step(np.array([1.0, -0.125]))
    >>> w
    array([-0.375,  0.   ])
    """

    rule: ClassVar[Rule] = rda


class FTRL(Optimizer):
    r"""FTRL-Proximal: follow the regularized leader, with a rate for each coordinate; sparse under `ftrl_l1`.

    .. code-block:: text

        n' = n + g*g
        z  <- z + g - (sqrt(n') - sqrt(n)) / a * p ;  n <- n'
        p  <- 0 if |z| <= ftrl_l1, else  -(z - sign(z)*ftrl_l1) / ((ftrl_beta + sqrt(n)) / a + ftrl_l2)

    Parameters are to begin at 0: elsewhere they are drawn there by their first step, and rows by the first that names
    them. Momentum, decoupled decay and proximal penalties do not apply.

    Parameters
    ----------
    learning_rate : float or callable, default 0.1
        a, not 0.
    ftrl_beta : float, default 1
    ftrl_l1, ftrl_l2 : float, default 0
    initial_accumulator_value : float, default 0
        Where n begins.
    **hyper
        As of `AdaGradDA`.

    References
    ----------
    H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.zeros(2)
    >>> fa.FTRL(params=w, learning_rate=1, ftrl_l1=0.5).step(np.array([1.0, -0.25]))
    >>> w
    array([-0.25,  0.  ])
    """

    rule: ClassVar[Rule] = ftrl
