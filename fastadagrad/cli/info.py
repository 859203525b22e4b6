"""Show versions, threads, CUDA and where compiled code is kept."""

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

USAGE = "[options]"
EXAMPLES = ("info", "info --json")
PACKAGES = ("fastadagrad", "numpy", "numba", "llvmlite", "numba-cuda", "scipy", "scikit-learn", "autograd", "tqdm")
POOLS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
CUDA_LIBRARIES = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: collect the facts and print them."""
    found = _collect()
    if arguments.json:
        screen.print_json(found)
        return 0
    for name, value in found.items():
        shown = "  ".join(f"{k} {v}" for k, v in value.items() if v) if isinstance(value, dict) else value
        print(f"{name:10} {shown}")
    return 0


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
    if importlib.util.find_spec("numba_cuda") is None:
        return f"driver found; kernels need numba-cuda: {INSTALL}"
    return "driver and numba-cuda found"
