"""AdaGrad for NumPy arrays: fused Numba kernels, exact to the last bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import adaptive as adaptive
    from . import base as base
    from . import first_order as first_order
    from .adaptive import ADADELTA as ADADELTA
    from .adaptive import ADAGRAD as ADAGRAD
    from .adaptive import COCOB as COCOB
    from .adaptive import ESGD as ESGD
    from .adaptive import FTRL as FTRL
    from .adaptive import NAG as NAG
    from .adaptive import RDA as RDA
    from .adaptive import SGD as SGD
    from .adaptive import AdaGradDA as AdaGradDA
    from .adaptive import Adam as Adam
    from .adaptive import DAdaptAdaGrad as DAdaptAdaGrad
    from .adaptive import DoG as DoG
    from .adaptive import DoWG as DoWG
    from .adaptive import RMSProp as RMSProp
    from .adaptive import RProp as RProp
    from .data import dataset as dataset
    from .data.dataset import Dataset as Dataset
    from .linear.model import LinearModel as LinearModel
    from .methods import build as build
    from .methods import minimize as minimize
    from .methods import register as register
    from .nopython import CompiledUpdate as CompiledUpdate
    from .nopython import compiled_update as compiled_update
    from .optimizer import Optimizer as Optimizer
    from .peers import like as like
    from .rate_finder import RateSearch as RateSearch
    from .rate_finder import find_learning_rate as find_learning_rate
    from .rows import Rows as Rows

__version__ = "0.1.0"

# Each is imported when it is first asked for, so that a command or a script loads no more than it uses.
_HOMES = {
    "ADADELTA": "adaptive",
    "ADAGRAD": "adaptive",
    "AdaGradDA": "adaptive",
    "Adam": "adaptive",
    "COCOB": "adaptive",
    "CompiledUpdate": "nopython",
    "DAdaptAdaGrad": "adaptive",
    "Dataset": "dataset",
    "DoG": "adaptive",
    "DoWG": "adaptive",
    "ESGD": "adaptive",
    "FTRL": "adaptive",
    "LinearModel": "linear",
    "NAG": "adaptive",
    "Optimizer": "optimizer",
    "RDA": "adaptive",
    "RMSProp": "adaptive",
    "RProp": "adaptive",
    "RateSearch": "rate_finder",
    "Rows": "rows",
    "SGD": "adaptive",
    "build": "methods",
    "compiled_update": "nopython",
    "find_learning_rate": "rate_finder",
    "like": "peers",
    "minimize": "methods",
    "register": "methods",
}
_MODULES = ("adaptive", "base", "dataset", "first_order")  # those that downhill has, too
__all__ = ["ADADELTA", "ADAGRAD", "COCOB", "ESGD", "FTRL", "NAG", "RDA", "SGD", "AdaGradDA", "Adam", "DAdaptAdaGrad"]
__all__ += ["DoG", "DoWG", "RMSProp", "RProp"]
__all__ += ["CompiledUpdate", "Dataset", "LinearModel", "Optimizer", "RateSearch", "Rows"]
__all__ += [*_MODULES]
__all__ += ["build", "compiled_update", "find_learning_rate", "like", "minimize", "register"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
