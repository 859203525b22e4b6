"""Adaptive methods, at the path where downhill has them."""

from __future__ import annotations

from .optimizer.adaptive import (
    ADADELTA,
    ADAGRAD,
    COCOB,
    ESGD,
    FTRL,
    NAG,
    RDA,
    SGD,
    AdaGradDA,
    Adam,
    DAdaptAdaGrad,
    DoG,
    DoWG,
    RMSProp,
    RProp,
)

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
    "Adam",
    "DAdaptAdaGrad",
    "DoG",
    "DoWG",
    "RMSProp",
    "RProp",
]
