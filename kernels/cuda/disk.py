"""Compiled CUDA code kept from one process to the next, where Numba keeps the code for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

from ..digest import Undescribable, digest_of
from ..disk_cache import COMPILER, SOURCES, folders, read, warn_once, write


def kept(
    name: str, function: Callable[..., None], arguments: Any, cc: tuple[int, int], compile_it: Callable[[], str]
) -> str:
    """The code of a kernel of this package, compiled unless code of this source and by this compiler is kept.

    A file that cannot be read, or not be written, does no harm.
    """
    if not function.__module__.startswith(f"{__package__}.") or numba.config.DISABLE_JIT:
        return compile_it()
    try:
        digest = digest_of(function, tuple(arguments), COMPILER)
    except Undescribable:
        return compile_it()
    file = f"{name}-sm_{cc[0]}{cc[1]}-{SOURCES}-{digest}.ptx"
    written, looked_in = folders()
    for folder in looked_in:
        data = read(folder / file)
        if data is not None:
            return data.decode()
    ptx = compile_it()
    if written is None:
        warn_once("no folder for them can be written")
    else:
        write(written / file, ptx.encode())
    return ptx
