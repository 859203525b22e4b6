"""Functions to minimize, with all derivatives: a quadratic bowl whose axes are not those of x."""

import numpy as np

MIDDLE = np.array([1.0, -2.0, 0.5])
CURVATURE = np.array([[3.0, 0.5, 0.0], [0.5, 2.0, -0.25], [0.0, -0.25, 1.0]])
START = np.array([0.25, 0.75, -0.5])


def value(x):
    return (x - MIDDLE) @ CURVATURE @ (x - MIDDLE) / 2


def slope(x):
    return CURVATURE @ (x - MIDDLE)


def both(x):
    return value(x), slope(x)


def product(x, p):
    return CURVATURE @ p
