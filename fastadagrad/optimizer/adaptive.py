"""The classes of the methods; the rule of each has its formula and its hyperparameters.

Signatures and docstrings of the classes are made from the rules. Type checkers read adaptive.pyi instead, which names
each hyperparameter.
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
