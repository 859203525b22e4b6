"""Compiled kernels kept on the disk: one file for each kernel, signature and processor.

The name of a file has a digest of all that the code in it depends on. So there is no index file, which two processes
might write at once, and no file is ever stale. A file that is damaged, or that has got the name of another, counts as
missing, and is written anew, whatever has taken its place. Where no folder can be written, every process compiles its
own kernels, and one warning says so.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import secrets
import shutil
import sys
import time
import warnings
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from stat import S_ISREG
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
except ImportError:  # these names are private to Numba and may move: no kernels are kept then
    _USABLE = False

_HERE = Path(__file__).parent
_FILES = {str(path.relative_to(_HERE)): blake2b(path.read_bytes()).digest() for path in sorted(_HERE.glob("**/*.py"))}
_USABLE &= bool(_FILES)  # without source files, versions of this package cannot be told apart
_SOURCES = digest_of(_FILES)
COMPILER = _SOURCES, numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag
# Settings of Numba by which the same source gives other code; NUMBA_BOUNDSCHECK=1 is one of them.
_SWITCHES = "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE", "USING_SVML"
SOURCES = _SOURCES[:8]  # a part of each file's name, by which `_tidy` finds the kernels of other versions

_CHECKSUM = 32  # bytes, at the beginning of a file
_LARGEST = 1 << 28  # bytes; no kernel comes near it, and what is larger is not read into memory
_KERNEL = re.compile(r".+-([0-9a-f]{8})-[0-9a-f]{32}\.(nbc|ptx)")
_UNFINISHED = re.compile(r".+-[0-9a-f]{32}\.(nbc|ptx)\.[0-9a-f]{12}\.tmp")
_ABANDONED_AFTER = 3600  # seconds; another process may still be writing a younger file
_OTHER_SOURCES = 3  # versions of the sources whose kernels stay beside ours: of other environments, other branches
_DAY = 86400


def read(path: Path) -> bytes | None:
    """Bytes that `write` has put into a file of this name; None if there is no such file, or if it is damaged."""
    try:
        about = path.stat()
        if not S_ISREG(about.st_mode) or about.st_size > _LARGEST:  # a pipe, say, which would be waited for
            return None
        content = path.read_bytes()
    except OSError:
        return None
    data = content[_CHECKSUM:]
    if content[:_CHECKSUM] != _checksum(path.name, data):
        return None
    with suppress(OSError):  # the file may belong to another user; its time says when it was last used
        if about.st_mtime < time.time() - _DAY:
            os.utime(path)
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; where it cannot be written, warn once."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        try:
            temporary.write_bytes(_checksum(path.name, data) + data)
            if path.is_dir() and not path.is_symlink():  # which no file can replace
                shutil.rmtree(path)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as reason:
        warn_once(f"{path.parent}: {reason.strerror or reason}")


def _checksum(name: str, data: bytes) -> bytes:
    """Checksum of the data under this name: a kernel under the name of another would compute something else."""
    return blake2b(data, digest_size=_CHECKSUM, key=blake2b(name.encode()).digest()).digest()


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
    """Warn, once in a process, that kernels are not kept; where warnings are errors, log it instead."""
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
    """The folder where kernels are written (None if there is none), and the folders where they are looked for.

    The first is where Numba would keep the kernels of this module. Without NUMBA_CACHE_DIR, they are looked for beside
    this file also if this user may not write there: whoever installed the package may have compiled some.
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


def _switches() -> str:
    """How Numba is set now; these settings may be changed while a process runs."""
    return " ".join(f"{name}={getattr(numba.config, name, None)}" for name in _SWITCHES)


class KernelCache:
    """The cache that a dispatcher of Numba asks before it compiles, and to which it gives what it has compiled."""

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
        """Do nothing, as no file is ever stale."""

    def _name(self, sig: Any, codegen: Any) -> str | None:
        """Name of a kernel's file; None if the kernel has no digest, so that it could be taken for another."""
        arguments, returned = getattr(sig, "args", sig), getattr(sig, "return_type", None)
        try:
            digest = digest_of(*self._about, _switches(), tuple(arguments), returned, codegen.magic_tuple())
        except Undescribable:
            return None
        stem = Path(self._function.__code__.co_filename).stem
        return f"{stem}.{self._function.__name__}-{SOURCES}-{digest}.nbc"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled code, or None if none is kept.

        Only Numba's runtime is initialised: loading does not need the registries of the compiler, which take long.
        """
        name = self._name(sig, target_context.codegen()) if self._enabled else None
        if name is None:
            return None
        rtsys.initialize(target_context)
        for folder in folders()[1]:
            data = read(folder / name)
            result = None if data is None else _rebuilt(data, target_context)
            # A class that a script defines is pickled whole: loading makes another class of the same name, and code
            # for that class does not fit.
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
    """The compile result in the data of a file; None if this version of Numba cannot read it."""
    try:
        return CompileResult._rebuild(target_context, *pickle.loads(data))
    except Exception:
        return None
