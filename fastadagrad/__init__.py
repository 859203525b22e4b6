"""AdaGrad for NumPy arrays: fused Numba kernels, exact to the last bit.

Begin with one of these; ``help(fastadagrad.ADAGRAD)`` has the formula and every hyperparameter.

=============================================  =====================================================================
you have                                       take
=============================================  =====================================================================
gradients of your own                          `ADAGRAD` (params=...) and its ``step(gradients)``; `Rows` for some rows
a loss, and perhaps data in minibatches        `minimize` in one call, or `ADAGRAD` (loss, params) and its ``iterate``
X and y, for a linear model                    `LinearModel`; on the command line ``fastadagrad fit``
a file larger than memory                      `Stream`, in the place of X and y
no idea of a learning rate                     `find_learning_rate` (gives a `RateSearch`), `DoG`, `DoWG`, `COCOB`
a loop of your own under ``numba.njit``        `compiled_update` (gives a `CompiledUpdate`)
a CUDA kernel of your own                      ``compiled_update(target="cuda")`` (gives a `CudaUpdate`)
defaults of torch, Keras, optax, ...           `like`
a formula of your own                          `register`, then `build` by its name
scikit-learn's pipelines and searches          ``fastadagrad.sklearn``: AdaGradClassifier, AdaGradRegressor
several machines, with MPI                     ``comm=MPI.COMM_WORLD``; `shard` for a table larger than one (a `Shard`)
``scipy.optimize.minimize``                    ``method=fastadagrad.scipy.adagrad``, or another method
=============================================  =====================================================================

Methods are classes, subclasses of `Optimizer`: `ADAGRAD`, `ADADELTA`, `AdaGradDA`, `Adam`, `AdaMax`, `COCOB`,
`DAdaptAdaGrad`, `DoG`, `DoWG`, `ESGD`, `FTRL`, `NAG`, `RDA`, `RMSProp`, `RProp`, `SGD`. `build` finds them by name, in
any case. `Dataset` cuts arrays into minibatches; the modules `adaptive`, `base`, `dataset` and `first_order` are where
downhill has them. ``fastadagrad.compare`` compares methods, ``fastadagrad.sources`` loads files. What the library logs,
it logs under the name "fastadagrad".
"""

from __future__ import annotations

from importlib import import_module

from .support.interpreters import refuse_sub_interpreters
from .version import __version__ as __version__

refuse_sub_interpreters()

TYPE_CHECKING = False  # `typing` takes a good part of a command's first moment, in which Ctrl-C leaves a traceback
if TYPE_CHECKING:
    from typing import Any

    from . import adaptive as adaptive
    from . import base as base
    from . import dataset as dataset
    from . import first_order as first_order
    from . import scipy as scipy
    from . import sklearn as sklearn
    from .data.dataset import Dataset as Dataset
    from .data.streams import Stream as Stream
    from .engine.rows import Rows as Rows
    from .engine.shard import Shard as Shard
    from .linear import LinearModel as LinearModel
    from .mpi.sharding import shard as shard
    from .nopython import CompiledUpdate as CompiledUpdate
    from .nopython import CudaUpdate as CudaUpdate
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
    "CudaUpdate": "nopython",
    "Dataset": "dataset",
    "LinearModel": "linear",
    "Optimizer": "optimizer",
    "RateSearch": "optimizer.rate_finder",
    "Rows": "engine.rows",
    "Shard": "engine.shard",
    "Stream": "data.streams",
    "build": "methods",
    "compiled_update": "nopython",
    "find_learning_rate": "optimizer.rate_finder",
    "like": "peers",
    "minimize": "methods",
    "register": "methods",
    "shard": "mpi.sharding",
}
_MODULES = ("adaptive", "base", "dataset", "first_order")  # modules that downhill has, too
_INTERFACES = ("scipy", "sklearn")  # not in `__all__`: `import *` would replace the user's own `scipy` and `sklearn`
__all__ += ["CompiledUpdate", "CudaUpdate", "Dataset", "LinearModel", "Optimizer", "RateSearch", "Rows", "Shard"]
__all__ += ["Stream", *_MODULES]
__all__ += ["build", "compiled_update", "find_learning_rate", "like", "minimize", "register", "shard"]


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _INTERFACES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(_what_is_meant_by(name), name=name)
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def _what_is_meant_by(name: str) -> str:
    """The message for a name that there is not, with the one that was probably meant."""
    message = f"module {__name__!r} has no attribute {name!r}"
    if name.startswith("_"):
        return message
    from importlib.util import find_spec

    from .support.hints import PUBLIC, hint

    if find_spec(f"{__name__}.{name}") is not None:
        return f"{message} until it is imported: import {__name__}.{name}"
    meant = hint(name, __all__, PUBLIC)
    return f"{message}: {meant}" if meant else message


def __dir__() -> list[str]:
    return sorted(
        [*__all__, *_INTERFACES, *(name for name in globals() if name.startswith("__") and name.endswith("__"))]
    )
