"""Adaptive methods."""

from __future__ import annotations

from typing import ClassVar

from ..engine.options import Rule
from ..kernels.rules import adadelta, adagrad, adam, rmsprop, rprop
from .dual_averaging import FTRL, RDA, AdaGradDA
from .first_order import NAG, SGD
from .optimizer import Optimizer
from .rate_free import COCOB, DAdaptAdaGrad, DoG, DoWG
from .second_order import ESGD

__all__ = [
    "ADADELTA",
    "ADAGRAD",
    "COCOB",
    "ESGD",
    "FTRL",
    "NAG",
    "RDA",
    "SGD",
    "AdaGradDA",
    "Adam",
    "DAdaptAdaGrad",
    "DoG",
    "DoWG",
    "RMSProp",
    "RProp",
]


class ADAGRAD(Optimizer):
    r"""AdaGrad with the options of its relatives: each element's step shrinks with the root of its squared gradients.

    .. code-block:: text

        G <- G + g*g                            g clipped, plus weight_decay * p
        H  = sqrt(G) + e                        epsilon_inside: sqrt(G + e)
        d  = (a*g) / H                          an element whose H is 0 does not move
        no momentum:        p <- p - d
        momentum m:         v <- m*v - d ;  p <- p + v
        Nesterov:           v <- m*v - d ;  p <- p + (m*v - d)

    All arithmetic is in the parameter's dtype and in this order: the result has the bits that NumPy gives.

    Parameters
    ----------
    loss : callable, optional
        ``loss(params, *batch)`` returns the loss, or (loss, gradients); params comes in the structure given here.
        None suits someone who only calls `step`.
    params : array, list of arrays, or dict of str to array
        NumPy's, or all of them on one GPU; float32 or float64, C-contiguous, writable: updated in place.
    inputs : list of str, optional
        Names picked out of batches that are dicts or DataFrames, in the order in which loss takes them. Batches of
        as many arrays are taken to have that order already.
    updates : iterable of (array, callable), optional
        After each step ``array[...] = callable(params, *batch)``.
    monitors : dict or iterable of (name, callable), optional
        ``callable(params, *batch)`` gives a number to average over each epoch. 'loss' is always monitored.
    monitor_gradients : bool
        Monitor the squared norm of each gradient as ``grad(name)``.
    gradient : True, callable, "autograd" or None
        True: loss returns (value, gradients). A callable: ``gradient(params, *batch)``. "autograd": derived. None:
        a pair is taken if loss returns one, else autograd derives.
    learning_rate : float or callable, default 1e-4
        a; a callable is given the number of the step, 0 at the first.
    rms_regularizer : float, default 1e-8
        e, added to the root.
    momentum : float, default 0
        m, in [0, 1).
    nesterov : bool, default False
    epsilon_inside : bool, default False
        Add e under the root.
    initial_accumulator_value : float, default 0
    lr_decay : float, default 0
        The rate of step t is a / (1 + t * lr_decay).
    weight_decay : float, default 0
        Added to the gradient, times the parameter, before squaring.
    decoupled_weight_decay : float, default 0
        w: the parameter is multiplied by 1 - a*w before it moves.
    l1, l2 : float, default 0
        Proximal penalties l1*|p| + l2/2*p*p in the metric H. Not with momentum.
    max_gradient_elem, max_gradient_norm, max_global_norm : float, default 0
        Clip each element; or scale each gradient, or all of them together, to at most this norm. 0 is off.
    accumulator : "element", "row" or "tensor"
        One G an element; one per index of axis 0, of mean squares; or one a parameter, of the sum (AdaGrad-Norm).
    lazy : "exact", "touched" or "dense"
        What becomes of the rows that a sparse gradient does not name, where an option moves them all the same: caught
        up later in closed form (see `flush`), left as they are, or moved by a dense step.
    groups : dict, optional
        Name of a parameter -> its own hyperparameters, also ``{"frozen": True}``.
    nonfinite : "raise", "skip" or "ignore"
        What a gradient with NaN or infinity does. "ignore" does not look, which is fastest.
    threads : int, optional
        Most threads to use; by default all that Numba has.
    patience, validate_every, min_improvement
        Early stopping, see `iterate`. Default 5, 10 and 0.

    Attributes
    ----------
    steps, skipped : int
        Steps made, and skipped for non-finite gradients.
    best : Best or None
        Loss, monitors, epoch and steps of the best validation.
    history : list of Epoch
    stopped_because : str or None
        'patience', 'max_updates', 'max_epochs', 'non-finite loss', 'interrupted', 'closed' or 'error'.

    Raises
    ------
    TypeError, ValueError
        If a parameter or a hyperparameter is refused; the message names it and the fix.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    JMLR 12 (2011), 2121-2159.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> def rosenbrock(x):
    ...     value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    ...     slope = 200 * (x[1] - x[0] ** 2)
    ...     return value, np.array([-2 * x[0] * slope - 2 * (1 - x[0]), slope])
    >>> x = np.array([-1.2, 1.0])
    >>> opt = fa.ADAGRAD(rosenbrock, x, learning_rate=0.5)
    >>> train, valid = opt.minimize(max_epochs=5000)
    >>> valid["loss"] < 1e-3, opt.stopped_because
    (True, 'max_epochs')
    """

    rule: ClassVar[Rule] = adagrad


class RProp(Optimizer):
    r"""Resilient propagation (iRprop-): a step for each element, by the signs of its gradients alone.

    .. code-block:: text

        the sign stays:    D <- min(D * rprop_increase, rprop_max_step)
        the sign changes:  D <- max(D * rprop_decrease, rprop_min_step) ;  g <- 0
        d  = sign(g) * D                D starts at learning_rate

    Meant for gradients of the whole loss, not of minibatches.

    Parameters
    ----------
    rprop_increase, rprop_decrease : float, default 1.01 and 0.99
    rprop_min_step, rprop_max_step : float, default 0 and 100
    **hyper
        As of `ADAGRAD`, but for its own, and for l1 and l2.

    References
    ----------
    C. Igel, M. Huesken, "Improving the Rprop Learning Algorithm", NC 2000, Algorithm 4.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0, 1.0])
    >>> fa.RProp(params=w, learning_rate=0.25).step(np.array([1e-9, -1e9]))
    >>> w
    array([0.75, 1.25])
    """

    rule: ClassVar[Rule] = rprop


class RMSProp(Optimizer):
    r"""RMSProp in Graves' form, or in the plain one.

    .. code-block:: text

        G  <- r*G + (1-r)*g*g                   r = 2^(-1/rms_halflife)
        F  <- r*F + (1-r)*g                     if centered
        H  = sqrt(G - F*F + e)                  the difference not below 0; without F if not centered
        d  = (a*g) / H

    Parameters
    ----------
    rms_halflife : float, default 14
        Steps after which a gradient counts half.
    rms_regularizer : float, default 1e-8
        e.
    epsilon_inside : bool, default True
        e is under the root; else it is added to it.
    centered : bool, default True
        Graves' form. Chosen when the optimizer is made.
    **hyper
        As of `ADAGRAD`, but for its own. Rows that a sparse gradient does not name have no closed form: choose
        ``lazy="touched"`` or ``"dense"``.

    References
    ----------
    A. Graves, "Generating Sequences With Recurrent Neural Networks", arXiv:1308.0850, equations (38) to (45).

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> fa.RMSProp(params=w, learning_rate=0.1, rms_halflife=1, rms_regularizer=0).step(np.array([2.0]))
    >>> w
    array([0.8])
    """

    rule: ClassVar[Rule] = rmsprop


class ADADELTA(Optimizer):
    r"""ADADELTA: a running mean of its own squared steps takes the learning rate's place.

    .. code-block:: text

        G  <- r*G + (1-r)*g*g                   r = 2^(-1/rms_halflife)
        u  = (g * sqrt(X + e)) / sqrt(G + e)
        X  <- r*X + (1-r)*u*u
        d  = a*u

    Parameters
    ----------
    learning_rate : float or callable, default 1
        a.
    rms_halflife : float, default 14
    rms_regularizer : float, default 1e-8
        e, from which the steps begin.
    **hyper
        As of `RMSProp`, but for l1 and l2.

    References
    ----------
    M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> fa.ADADELTA(params=w, rms_halflife=1, rms_regularizer=0.5).step(np.array([1.0]))
    >>> w.round(4)
    array([0.2929])
    """

    rule: ClassVar[Rule] = adadelta


class Adam(Optimizer):
    r"""Adam; AdamW with `decoupled_weight_decay`; AMSGrad with `amsgrad`.

    .. code-block:: text

        V  <- b2*V + (1-b2)*g*g                 b2 = 2^(-1/beta2_halflife)
        M  <- b1*M + (1-b1)*g                   b1 = 2^(-1/beta1_halflife)
        H  = sqrt(V / (1 - b2^t)) + e           amsgrad: of the largest V so far
        d  = a * (M / (1 - b1^t)) / H           t = 1 at the first step

    What is to be divided by 1 - b^t is multiplied instead, by numbers that are formed in float64 and cast once a step.

    Parameters
    ----------
    beta1_halflife, beta2_halflife : float, default 7 and 69
        Steps after which a gradient, and its square, count half: -log(2)/log(b). b1 = 0.9 and b2 = 0.999 are 6.5788
        and 692.8.
    rms_regularizer : float, default 1e-8
        e.
    amsgrad : bool, default False
        Chosen when the optimizer is made.
    **hyper
        As of `RMSProp`.

    References
    ----------
    D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, Algorithm 1.
    I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    S. Reddi, S. Kale, S. Kumar, "On the Convergence of Adam and Beyond", ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0, 1.0])
    >>> fa.Adam(params=w, learning_rate=0.1).step(np.array([5.0, -0.01]))
    >>> w.round(6)
    array([0.9, 1.1])
    """

    rule: ClassVar[Rule] = adam
