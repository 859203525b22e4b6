"""Optional packages, each imported when it is first needed."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# What is to be installed: a distribution, and the extra that brings it.
_BROUGHT_BY = {
    "autograd": ("autograd", "autograd"),
    "jax": ("jax", "jax"),
    "matplotlib": ("matplotlib", "plot"),
    "mpi4py": ("mpi4py", "mpi"),
    "optax": ("optax", "optax"),
    "pandas": ("pandas", "pandas"),
    "pyarrow": ("pyarrow", "tables"),
    "safetensors": ("safetensors", "safetensors"),
    "scipy": ("scipy", "scipy"),
    "sklearn": ("scikit-learn", "sklearn"),
    "threadpoolctl": ("threadpoolctl", "compare"),
    "torch": ("torch", "torch"),
    "tqdm": ("tqdm", "fit"),
}
# What no extra brings, as it comes for one version of CUDA or another: a distribution, and what pip is given.
_BROUGHT_BY_NONE = {
    "numba_cuda": ("numba-cuda", '"numba-cuda[cu13]" "numpy<2.5"'),
    "numba_cuda_mlir": ("numba-cuda-mlir", '"numba-cuda-mlir[cu13]"'),
}


def is_installed(module: str) -> bool:
    """Whether a module that is no part of another can be imported; it is not."""
    return find_spec(module) is not None


def needed(module: str, purpose: str) -> Any:
    """A module of an optional package, imported.

    Parameters
    ----------
    module : str
        Full name of the module, such as "scipy.sparse".
    purpose : str
        What needs the module; the message begins with this text.

    Raises
    ------
    RuntimeError
        If the package is not installed; the message has the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise RuntimeError(f"{purpose} needs {how_to_install(module)}") from None


def how_to_install(module: str) -> str:
    """The package that a module is of, and the command that installs it.

    >>> how_to_install("sklearn.datasets")
    'scikit-learn: pip install "fastadagrad[sklearn]"'
    """
    name = module.partition(".")[0]
    if name in _BROUGHT_BY_NONE:
        package, given = _BROUGHT_BY_NONE[name]
        return f"{package}: pip install {given}"
    package, extra = _BROUGHT_BY[name]
    return f'{package}: pip install "fastadagrad[{extra}]"'
