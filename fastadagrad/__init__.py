"""AdaGrad for NumPy arrays: fused Numba kernels, exact to the last bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from . import adaptive as adaptive
    from . import base as base
    from . import dataset as dataset
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
    from .data.dataset import Dataset as Dataset
    from .engine.rows import Rows as Rows
    from .linear import LinearModel as LinearModel
    from .nopython import CompiledUpdate as CompiledUpdate
    from .nopython import compiled_update as compiled_update
    from .optimizer.methods import build as build
    from .optimizer.methods import minimize as minimize
    from .optimizer.methods import register as register
    from .optimizer.optimizer import Optimizer as Optimizer
    from .optimizer.rate_finder import RateSearch as RateSearch
    from .optimizer.rate_finder import find_learning_rate as find_learning_rate
    from .peers import like as like

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
    "RateSearch": "optimizer.rate_finder",
    "Rows": "engine.rows",
    "SGD": "adaptive",
    "build": "methods",
    "compiled_update": "nopython",
    "find_learning_rate": "optimizer.rate_finder",
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
