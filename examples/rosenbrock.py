"""Rosenbrock's valley in 2 and in 100 dimensions, whose lowest point is 0 at (1, 1, ..., 1).

A loss without data: each epoch is one update.

    python examples/rosenbrock.py
"""

import numpy as np

import fastadagrad as fa


def rosenbrock(x):
    """Value and gradient."""
    step, rest = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * x[:-1] * step - 2 * rest
    gradient[1:] += 200 * step
    return 100 * step @ step + rest @ rest, gradient


def descend(dimensions):
    """Lowest value found, how far from the lowest point, and in how many steps."""
    x = np.full(dimensions, -1.2)
    x[1::2] = 1.0
    opt = fa.ADAGRAD(rosenbrock, x, learning_rate=0.5, momentum=0.95, nesterov=True)
    _, valid = opt.minimize(max_updates=5000, validate_every=100)
    return valid["loss"], np.abs(x - 1).max(), opt.steps


def main():
    return {dimensions: descend(dimensions) for dimensions in (2, 100)}


if __name__ == "__main__":
    for dimensions, (value, distance, steps) in main().items():
        print(f"{dimensions:3} dimensions: value {value:.2e}, {distance:.2e} from the lowest point after {steps} steps")
