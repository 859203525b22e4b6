"""FTRL-Proximal: follow the regularized leader, with per-coordinate rates and penalties l1 and l2.

    n' = n + g*g
    z  <- z + g - (sqrt(n') - sqrt(n)) / a * p ;  n <- n'
    p  <- 0 if |z| <= ftrl_l1, else  -(z - sign(z)*ftrl_l1) / ((ftrl_beta + sqrt(n)) / a + ftrl_l2)

with a = learning_rate. With z at 0 a parameter that is to begin elsewhere than at 0 is drawn to it at the first step.

H. B. McMahan et al., "Ad Click Prediction: a View from the Trenches", KDD 2013, Algorithm 1.
"""

from collections import namedtuple
from dataclasses import dataclass
from math import copysign, sqrt

from . import COMMON

name = "ftrl"
slots = ("accumulator", "z")
squares = rests = rate_divides = True
starts = ("initial_accumulator_value",)
defaults = {"learning_rate": 0.1}


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    ftrl_beta: float = 1.0
    ftrl_l1: float = 0.0
    ftrl_l2: float = 0.0
    initial_accumulator_value: float = 0.0


Scalars = namedtuple("Scalars", (*COMMON, "beta", "threshold", "ridge"))


def scalar_values(hyper, a, t):
    return hyper.ftrl_beta, hyper.ftrl_l1, hyper.ftrl_l2


def initial(hyper, a):
    return hyper.initial_accumulator_value, 0.0


def accumulate(p, g, square, own, s):
    n = own[0] + square
    return n, own[1] + g - (sqrt(n) - sqrt(own[0])) / s.learning_rate * p


def scale(own, s):
    return (s.beta + sqrt(own[0])) / s.learning_rate + s.ridge


def place(g, H, own, s):
    size = abs(own[1]) - s.threshold
    return s.zero if size <= s.zero or H == s.zero else -copysign(size, own[1]) / H
