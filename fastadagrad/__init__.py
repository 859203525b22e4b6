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
    from . import scipy as scipy
    from . import sklearn as sklearn
    from .data.dataset import Dataset as Dataset
    from .engine.rows import Rows as Rows
    from .linear import LinearModel as LinearModel
    from .nopython import CompiledUpdate as CompiledUpdate
    from .nopython import compiled_update as compiled_update
    from .optimizer.adaptive import *
    from .optimizer.methods import build as build
    from .optimizer.methods import minimize as minimize
    from .optimizer.methods import register as register
    from .optimizer.optimizer import Optimizer as Optimizer
    from .optimizer.rate_finder import RateSearch as RateSearch
    from .optimizer.rate_finder import find_learning_rate as find_learning_rate
    from .peers import like as like

__all__ = ["ADADELTA", "ADAGRAD", "COCOB", "ESGD", "FTRL", "NAG", "RDA", "SGD", "AdaGradDA", "AdaMax", "Adam"]
__all__ += ["DAdaptAdaGrad", "DoG", "DoWG", "RMSProp", "RProp"]

# Each name is imported when it is first asked for, so that a command or a script loads no more than it uses.
_HOMES = {
    **dict.fromkeys(__all__, "adaptive"),
    "CompiledUpdate": "nopython",
    "Dataset": "dataset",
    "LinearModel": "linear",
    "Optimizer": "optimizer",
    "RateSearch": "optimizer.rate_finder",
    "Rows": "engine.rows",
    "build": "methods",
    "compiled_update": "nopython",
    "find_learning_rate": "optimizer.rate_finder",
    "like": "peers",
    "minimize": "methods",
    "register": "methods",
}
_MODULES = ("adaptive", "base", "dataset", "first_order")  # modules that downhill has, too
_INTERFACES = ("scipy", "sklearn")  # not in `__all__`: `import *` would replace the user's own `scipy` and `sklearn`
__all__ += ["CompiledUpdate", "Dataset", "LinearModel", "Optimizer", "RateSearch", "Rows"]
__all__ += [*_MODULES]
__all__ += ["build", "compiled_update", "find_learning_rate", "like", "minimize", "register"]


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _INTERFACES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_INTERFACES})
