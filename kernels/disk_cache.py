"""Compiled kernels kept on the disk: one file for each kernel, signature and processor.

The name of a file is a digest of all that its code depends on. So there is no index, which two processes might write
at once, and nothing is ever stale. A file that is not whole is a miss, and is written anew. Where no folder can be
written, every process compiles its own kernels, and one warning says so.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import secrets
import sys
import time
import warnings
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np

from .digest import Undescribable, digest_of
from .symbols import PROCESS_INDEPENDENT

try:
    from numba.core.caching import CompileResultCacheImpl
    from numba.core.compiler import CompileResult
    from numba.core.runtime import rtsys
    from numba.core.serialize import dumps

    _USABLE = PROCESS_INDEPENDENT and hasattr(rtsys, "initialize")
    _USABLE &= all(hasattr(CompileResult, name) for name in ("_reduce", "_rebuild"))
except ImportError:  # of names that Numba keeps to itself: nothing is kept then
    _USABLE = False

_HERE = Path(__file__).parent
_FILES = {str(path.relative_to(_HERE)): blake2b(path.read_bytes()).digest() for path in sorted(_HERE.glob("**/*.py"))}
_USABLE &= bool(_FILES)  # else nobody could tell one version from another
_SOURCES = digest_of(_FILES)
COMPILER = _SOURCES, numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag
SOURCES = _SOURCES[:8]  # in the names of files

_CHECKSUM = 32  # bytes, at the beginning of a file
_KERNEL = re.compile(r".+-([0-9a-f]{8})-[0-9a-f]{32}\.(nbc|ptx)")
_UNFINISHED = re.compile(r".+-[0-9a-f]{32}\.(nbc|ptx)\.[0-9a-f]{12}\.tmp")
_ABANDONED_AFTER = 3600  # seconds; another process may still be writing a younger one
_OTHER_SOURCES = 3  # whose kernels stay, as of another environment, or of another branch
_DAY = 86400


def read(path: Path) -> bytes | None:
    """What `write` has put into a file; None if there is none, or if it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    data = content[_CHECKSUM:]
    if content[:_CHECKSUM] != _checksum(data):
        return None
    with suppress(OSError):  # where only somebody else may write
        if path.stat().st_mtime < time.time() - _DAY:
            os.utime(path)
    return data


def write(path: Path, data: bytes) -> None:
    """Put a whole file in place, or none; where that is impossible, say so once."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        try:
            temporary.write_bytes(_checksum(data) + data)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as reason:
        warn_once(f"{path.parent}: {reason.strerror or reason}")


def _checksum(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECKSUM).digest()


@cache
def _tidy(folder: Path) -> None:
    """Delete, once in a process, what killed processes and long unused sources have left in this folder."""
    by_sources: dict[str, dict[Path, float]] = {}
    for path in folder.iterdir():
        with suppress(OSError):
            used = path.stat().st_mtime
            if _UNFINISHED.fullmatch(path.name) and used < time.time() - _ABANDONED_AFTER:
                path.unlink()
            kernel = _KERNEL.fullmatch(path.name)
            if kernel and kernel[1] != SOURCES:
                by_sources.setdefault(kernel[1], {})[path] = used
    for files in sorted(by_sources.values(), key=lambda files: max(files.values()))[:-_OTHER_SOURCES]:
        for path in files:
            with suppress(OSError):
                path.unlink()


_warned = False


def warn_once(reason: str) -> None:
    """Tell the user that kernels are not kept; a program that makes errors of warnings finds it in the log."""
    global _warned
    if _warned:
        return
    _warned = True
    message = (
        f"compiled kernels cannot be kept ({reason}): every process compiles its own, which takes seconds; set "
        "NUMBA_CACHE_DIR to a folder that can be written"
    )
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except RuntimeWarning:
        logging.getLogger("fastadagrad").warning(message)


_folders: dict[str, tuple[Path | None, list[Path]]] = {}


def folders() -> tuple[Path | None, list[Path]]:
    """Where kernels are written (None: nowhere), and where they are looked for: as Numba has it for this module.

    Beside this file they are looked for also where only somebody else, who has installed the package, may write.
    """
    chosen = str(numba.config.CACHE_DIR)
    if chosen not in _folders:
        beside = [] if chosen else [_HERE / "__pycache__"]
        written = _folder_of_numba() if _USABLE else None
        found = beside if written in (None, *beside) else [written, *beside]
        _folders[chosen] = written, found
    return _folders[chosen]


def _folder_of_numba() -> Path | None:
    try:
        return Path(CompileResultCacheImpl(folders).locator.get_cache_path())
    except (AttributeError, TypeError, RuntimeError, OSError):
        return None


class KernelCache:
    """What a dispatcher of Numba asks before it compiles, and gives what it has compiled."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self._function = function
        self._enabled = _USABLE
        self._about = function, sorted(options.items()), COMPILER

    @property
    def cache_path(self) -> str | None:
        written, _ = folders()
        return None if written is None else str(written)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing is ever stale."""

    def _name(self, sig: Any, codegen: Any) -> str | None:
        """Name of the file, None for what cannot be told apart from everything else."""
        arguments, returned = getattr(sig, "args", sig), getattr(sig, "return_type", None)
        try:
            digest = digest_of(*self._about, tuple(arguments), returned, codegen.magic_tuple())
        except Undescribable:
            return None
        stem = Path(self._function.__code__.co_filename).stem
        return f"{stem}.{self._function.__name__}-{SOURCES}-{digest}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code, or None. Loading needs no more than the runtime, not the registries of the compiler."""
        name = self._name(sig, target_context.codegen()) if self._enabled else None
        if name is None:
            return None
        rtsys.initialize(target_context)
        for folder in folders()[1]:
            data = read(folder / name)
            result = None if data is None else _rebuilt(data, target_context)
            # A class that a script defines is pickled whole: what comes back is another one, of the same name.
            if result is not None and tuple(result.signature.args) == tuple(getattr(sig, "args", sig)):
                return result
        return None

    def save_overload(self, sig: Any, result: Any) -> None:
        """Keep what has been compiled."""
        if not _USABLE:
            warn_once(f"this fastadagrad does not know the disk cache of Numba {numba.__version__}")
            return
        name, (written, _) = self._name(sig, result.codegen), folders()
        if not self._enabled or name is None or result.library.has_dynamic_globals:
            return
        if written is None:
            warn_once("no folder for them can be written")
        else:
            write(written / name, dumps(result._reduce()))


def _rebuilt(data: bytes, target_context: Any) -> Any:
    """A compile result, None if this Numba cannot make one of the data."""
    try:
        return CompileResult._rebuild(target_context, *pickle.loads(data))
    except Exception:
        return None
