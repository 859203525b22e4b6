"""Compiled CUDA code kept from one process to the next, where Numba keeps the code for the CPU."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba

from ..jit import SOURCES, compiled


@compiled
def _neighbour():
    """Not for calling: Numba tells where it keeps what is made of it."""


@cache
def _folder() -> Path:
    return Path(_neighbour.stats.cache_path)


@cache
def _compilers() -> tuple[Any, ...]:
    """What the code depends on beside its source."""
    from cuda.pathfinder import load_nvidia_dynamic_lib

    library = load_nvidia_dynamic_lib("nvvm").abs_path
    about = os.stat(library)
    return SOURCES, *map(version, ("numba", "numba-cuda", "llvmlite")), library, about.st_size, about.st_mtime_ns


def kept(
    name: str, function: Callable[..., None], arguments: Any, cc: tuple[int, int], compile_it: Callable[[], str]
) -> str:
    """The code of a kernel of this package; compiled if none is kept of this source, by these compilers.

    A file that cannot be read, or not be written, does no harm.
    """
    code = function.__code__
    if not function.__module__.startswith(f"{__package__}.") or numba.config.DISABLE_JIT:
        return compile_it()
    key = repr((_compilers(), code.co_code, code.co_names, arguments))
    path = _folder() / f"{name}-sm_{cc[0]}{cc[1]}.ptx"
    with suppress(OSError, ValueError):
        checksum, _, ptx = path.read_text().partition("\n")
        if checksum == _checksum(key, ptx):
            return ptx
    ptx = compile_it()
    with suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{secrets.token_hex(6)}.tmp")
        temporary.write_text(f"{_checksum(key, ptx)}\n{ptx}")
        os.replace(temporary, path)
    return ptx


def _checksum(key: str, ptx: str) -> str:
    return f"// {zlib.crc32((key + ptx).encode()):08x}"
