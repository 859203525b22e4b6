"""Problems given by a formula: Rosenbrock's valley, quadratics, the factorisation of a matrix."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from .problem import Task

Floats = NDArray[np.float64]

# Sizes of the factorisation, which is downhill's first example made larger.
ROWS, COLUMNS, RANK = 60, 40, 4
NOISE = 0.1
DIMENSIONS = 50  # of a quadratic


def rosenbrock_value(x: Floats) -> tuple[float, Floats]:
    """The valley sum(100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2), lowest (0) where all are 1, and its gradient."""
    step, rest = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * step - 2 * rest
    gradient[1:] += 200 * step
    return float(100 * step @ step + rest @ rest), gradient


def rosenbrock(dimensions: int, seed: int) -> Task:
    """Rosenbrock's valley as a task, which starts near (-1.2, 1, -1.2, 1, ...)."""
    start = np.full(dimensions, -1.2)
    start[1::2] = 1.0
    start += 0.1 * np.random.default_rng([seed, 0]).standard_normal(dimensions)
    return Task(params=start, loss=rosenbrock_value, updates=10, epochs=100, best=0.0)


class Quadratic:
    """The loss w @ A @ w / 2, with eigenvalues of A from 1 down to 1/condition, equally far apart in their logarithms.

    If it is aligned with the axes, each parameter has its own curvature, for which a method with a rate for each
    parameter can compensate. If it is rotated at random, no parameter has.
    """

    def __init__(self, condition: float, rotated: bool) -> None:
        self.eigenvalues = np.logspace(0, -np.log10(condition), DIMENSIONS)
        basis, upper = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSIONS, DIMENSIONS)))
        self._basis: Floats | None = basis * np.sign(np.diag(upper)) if rotated else None

    def __call__(self, w: Floats) -> tuple[float, Floats]:
        """Value and gradient."""
        if self._basis is None:
            return float(w @ (self.eigenvalues * w) / 2), self.eigenvalues * w
        gradient = self._basis @ (self.eigenvalues * (w @ self._basis))
        return float(w @ gradient / 2), gradient


def quadratic(condition: float, rotated: bool, seed: int) -> Task:
    """A quadratic as a task, which starts at normal numbers."""
    start = np.random.default_rng([seed, 0]).standard_normal(DIMENSIONS)
    return Task(params=start, loss=Quadratic(condition, rotated), updates=10, epochs=50, best=0.0)


def factorisation_value(params: dict[str, Floats], y: Floats) -> tuple[float, dict[str, Floats]]:
    """Mean squared error of u @ v, plus a hundredth of the means of u and v squared; and the gradients."""
    u, v = params["u"], params["v"]
    error = u @ v - y
    value = (error**2).mean() + 0.01 * ((u**2).mean() + (v**2).mean())
    slope = 2 * error / error.size
    return float(value), {"u": slope @ v.T + 0.02 * u / u.size, "v": u.T @ slope + 0.02 * v / v.size}


def factorisation(seed: int) -> Task:
    """The factorisation of a noisy matrix of known rank, the same for all seeds; gradients are of the whole matrix."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((ROWS, RANK)) @ rng.standard_normal((RANK, COLUMNS))
    y += NOISE * rng.standard_normal(y.shape)

    start = np.random.default_rng([seed, 0])
    params = {"u": 0.1 * start.standard_normal((ROWS, RANK)), "v": 0.1 * start.standard_normal((RANK, COLUMNS))}
    return Task(params=params, loss=partial(factorisation_value, y=y), updates=10, epochs=50)
