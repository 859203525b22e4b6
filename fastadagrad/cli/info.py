"""Show versions, threads, CUDA and where compiled code is kept; or what a model file holds."""

from __future__ import annotations

import argparse
import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import Any

from ..device.backend import INSTALL
from . import screen

USAGE = "[MODEL] [options]"
EXAMPLES = ("info", "info --json", "info model.npz")
PACKAGES = ("fastadagrad", "numpy", "numba", "llvmlite", "cuda-bindings", "scipy", "scikit-learn", "autograd", "tqdm")
SHOWN = 10  # classes that are shown, of many
# The module of each threading layer of Numba, and where CUDA's driver is.
POOLS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
CUDA_LIBRARIES = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a file that fit --model wrote: show what it holds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: collect the facts and print them."""
    found = _collect() if arguments.model is None else _of_model(arguments.model)
    if arguments.json:
        screen.print_json(found)
        return 0
    width = max(map(len, found)) + 1
    for name, value in found.items():
        print(f"{name:{width}}{_shown(value)}")
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{k} {v}" for k, v in value.items() if v)
    if isinstance(value, list):
        some = ", ".join(map(str, value[:SHOWN]))
        return some if len(value) <= SHOWN else f"{some}, ... ({len(value)})"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _of_model(path: str) -> dict[str, Any]:
    """What a model's file holds: what it is for, how it was trained, and how many of its weights are not 0."""
    from ..linear import LinearModel

    model = LinearModel.load(path)
    found = {
        "model": path,
        "bytes": os.path.getsize(path),
        "loss": model.loss,
        "method": model.method,
        "learning_rate": model.learning_rate_,
        "features": model.n_features,
        "classes": None if model.classes_ is None else model.classes_.tolist(),
        "weights": model.n_features * model.intercept_.size,
        "nonzero_weights": model.nonzero_weights,
        "hash_bits": model.hash_bits,
        "epochs": len(model.history),
        "best_epoch": model.best_epoch,
        "stopped_because": model.stopped_because,
    }
    return {name: value for name, value in found.items() if value is not None}


def _collect() -> dict[str, Any]:
    from llvmlite import binding
    from numba import config

    from ..kernels.linear import scoring

    settings = vars(config)
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "system": f"{platform.system()} {platform.machine()}, {binding.get_host_cpu_name()}",
        "threads": f"{settings['NUMBA_NUM_THREADS']} of {os.cpu_count()} processors",
        "threading": _threading(settings),
        "cuda": _cuda(),
        "cache": scoring.mean_loss.stats.cache_path,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _threading(settings: dict[str, Any]) -> str:
    """The threading layers among which Numba chooses; to ask Numba would start threads, which aborts some processes."""
    wanted = settings["THREADING_LAYER"]
    order = settings["THREADING_LAYER_PRIORITY"]
    there = [name for name in order if importlib.util.find_spec(f"numba.np.ufunc.{POOLS[name]}") is not None]
    return f"{wanted}; built in: {', '.join(there)} (in order of preference, if their libraries are installed)"


def _cuda() -> str:
    """Whether CUDA's driver is installed, found out without starting it."""
    library = CUDA_LIBRARIES.get(sys.platform)
    if library is None:
        return "not on this system"
    try:
        ctypes.CDLL(library)
    except OSError:
        return "no driver"
    if _version("cuda-bindings") is None:
        return f"driver found; device arrays need cuda-bindings: {INSTALL}"
    return "driver and cuda-bindings found"
