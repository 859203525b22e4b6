"""NAG: :mod:`.sgd` with Nesterov's momentum, which is 0 unless it is given.

Y. Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)", Soviet Mathematics
Doklady 27 (1983), 372-376.
"""

from .sgd import Hyperparameters, Scalars, accumulate, delta, initial, rests, scalar_values, scale, slots

name = "nag"
defaults = fixed = {"nesterov": True}

__all__ = [
    "Hyperparameters",
    "Scalars",
    "accumulate",
    "defaults",
    "delta",
    "fixed",
    "initial",
    "name",
    "rests",
    "scalar_values",
    "scale",
    "slots",
]
