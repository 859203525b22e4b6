"""NAG: gradient descent with Nesterov's accelerated gradient, once `momentum` is given.

    d  = a*g                    a = learning_rate

It is SGD with `nesterov` always True, as in downhill.

References
----------
Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)", Soviet Mathematics
Doklady 27 (1983), 372-376.
"""

from .sgd import Hyperparameters, Scalars, accumulate, delta, initial, rests, scalar_values, scale, slots

name = "nag"
example = """\
>>> w = np.array([1.0])
>>> fa.NAG(params=w, learning_rate=0.5, momentum=0.5).step(np.array([1.0]))
>>> w
array([0.25])
"""
defaults = fixed = {"nesterov": True}

__all__ = [
    "Hyperparameters",
    "Scalars",
    "accumulate",
    "defaults",
    "delta",
    "example",
    "fixed",
    "initial",
    "name",
    "rests",
    "scalar_values",
    "scale",
    "slots",
]
