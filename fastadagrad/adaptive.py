"""Adaptive methods, at the path where downhill has them."""

from __future__ import annotations

from typing import ClassVar

from .hyper import Rule
from .kernels.rules import adagrad
from .optimizer import Optimizer

__all__ = ["ADAGRAD"]


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
        Names picked out of batches that are dicts or DataFrames, in the order in which loss takes them.
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
