"""Numbers whose exponentials and logarithms are computed, and what the CPU computes of them."""

import numpy as np
from numba import njit

from fastadagrad.kernels import powers

N = 1000
SPECIAL = [0.0, -0.0, 1.0, -1.0, -2.0, 5e-324, 2.0**-1022, 1e308, np.inf, -np.inf, np.nan]
BORDERS = [
    709.782712893384,
    709.7827128933841,
    -745.133219101941,
    -745.1332191019412,
    -37.42,
    -37.5,
    0.5**0.5,
    2.0**0.5,
]


def _near(x, rng):
    """Numbers close to x, on both sides."""
    return x * (1 + rng.choice([-1, 1], N // 4) * 10.0 ** rng.uniform(-16, -1, N // 4))


def numbers(name):
    """Numbers from everywhere in the domain of a function, and those at which one of its cases ends."""
    rng = np.random.default_rng(0)
    wide = 10.0 ** rng.uniform(-300, 300, N)
    drawn = {
        "exp": [rng.uniform(-745, 709, N), rng.uniform(-1, 1, N), -(10.0 ** rng.uniform(-18, 2.8, N))],
        "expm1": [rng.uniform(-40, 709, N), rng.uniform(-1, 1, N), -(10.0 ** rng.uniform(-18, 1.5, N))],
        "log": [wide, rng.uniform(0.3, 3, N), _near(1.0, rng), 10.0 ** rng.uniform(-323, -300, N)],
        "log1p": [wide, rng.uniform(-0.99, 3, N), -(10.0 ** rng.uniform(-18, -0.001, N)), _near(0.41, rng)],
    }
    halves = (np.arange(-20, 20) + 0.5) * np.log(2)
    return np.concatenate([*drawn[name], *(_near(x, rng) for x in halves[::4]), halves, SPECIAL, BORDERS])


NAMES = ("exp", "expm1", "log", "log1p")


def by_cpu(name, x):
    function = getattr(powers, name)

    @njit(error_model="numpy")
    def fill(x, results):
        for i in range(x.size):
            results[i] = function(x[i])

    results = np.zeros_like(x)
    fill(x, results)
    return results
