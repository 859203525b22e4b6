"""The methods: a rule has the formula and the hyperparameters of each, of which its signature and docstring are made.

For type checkers the classes stand in adaptive.pyi, with each hyperparameter by name.
"""

from __future__ import annotations

from ..kernels.rules import (
    adadelta,
    adagrad,
    adagrad_da,
    adam,
    adamax,
    cocob,
    dadapt_adagrad,
    dog,
    dowg,
    esgd,
    ftrl,
    nag,
    rda,
    rmsprop,
    rprop,
    sgd,
)
from .optimizer import Optimizer
from .second_order import SecondOrder

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
    "AdaMax",
    "Adam",
    "DAdaptAdaGrad",
    "DoG",
    "DoWG",
    "RMSProp",
    "RProp",
]


class ADAGRAD(Optimizer):
    rule = adagrad


class SGD(Optimizer):
    rule = sgd


class NAG(Optimizer):
    rule = nag


class RProp(Optimizer):
    rule = rprop


class RMSProp(Optimizer):
    rule = rmsprop


class ADADELTA(Optimizer):
    rule = adadelta


class Adam(Optimizer):
    rule = adam


class AdaMax(Optimizer):
    rule = adamax


class AdaGradDA(Optimizer):
    rule = adagrad_da


class RDA(Optimizer):
    rule = rda


class FTRL(Optimizer):
    rule = ftrl


class COCOB(Optimizer):
    rule = cocob


class DoG(Optimizer):
    rule = dog


class DoWG(Optimizer):
    rule = dowg


class DAdaptAdaGrad(Optimizer):
    rule = dadapt_adagrad


class ESGD(SecondOrder):
    rule = esgd
