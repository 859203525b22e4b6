"""The library's logger, and what a user who waits for the compiler is told.

Nothing is printed unless the user configures logging, but for one line: who works interactively, has configured nothing
and has waited for the compiler for two seconds is told so on standard error, once a process. To be told nothing, give
the logger a level: ``logging.getLogger("fastadagrad").setLevel("WARNING")``.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("fastadagrad")
logger.addHandler(logging.NullHandler())  # otherwise warnings go to stderr if nobody has configured logging

IN_REPORT = "in_report"  # attribute of a record that says what a command's own report says, too
LOADING = 0.4  # seconds; reading compiled code from the disk cache takes less
PATIENCE = 2.0  # seconds of waiting for the compiler, in the whole process, after which a user is told

_waited = 0.0  # for the compiler, in this process
_told = False


@contextmanager
def compilation(dispatcher: Any, what: str) -> Iterator[None]:
    """Tell of the first call of a compiled function in this process, if it has to compile it."""
    if dispatcher.overloads:
        yield
        return
    with _watched(what) as times:
        yield
    if dispatcher.stats.cache_misses:
        _note(what, times[-1])


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """The same for what is known not to be in the disk cache."""
    with _watched(what) as times:
        yield
    _note(what, times[-1])


@contextmanager
def _watched(what: str) -> Iterator[list[float]]:
    """Tell of a compilation while it lasts; the list has its seconds afterwards."""
    done, times = threading.Event(), [0.0]
    threading.Thread(target=_watch, args=(done, what), name="fastadagrad-compiling", daemon=True).start()
    start = time.perf_counter()
    try:
        yield times
    finally:
        done.set()
        times.append(time.perf_counter() - start)


def _watch(done: threading.Event, what: str) -> None:
    if done.wait(LOADING):
        return
    logger.info("compiling %s: takes seconds, the first time only", what)
    if not done.wait(max(0.0, PATIENCE - LOADING - _waited)):
        _tell_who_waits(what)


def _note(what: str, seconds: float) -> None:
    global _waited
    _waited += seconds
    logger.info("compiled %s in %.1f s", what, seconds)


def _tell_who_waits(what: str) -> None:
    global _told
    if not _told and is_interactive() and not is_configured():
        _told = True
        print(
            f"fastadagrad: compiling {what}, which takes seconds the first time only: the code is kept on the disk "
            '("fastadagrad warmup" compiles ahead)',
            file=sys.stderr,
            flush=True,
        )


def is_interactive() -> bool:
    """Whether somebody is likely to sit before this process: at a prompt, in a notebook, or at a terminal."""
    if hasattr(sys, "ps1") or "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # it has been closed
        return False


def is_configured() -> bool:
    """Whether the program has decided what becomes of the library's log."""
    if logger.level != logging.NOTSET or logger.disabled or logging.root.manager.disable >= logging.INFO:
        return True
    handlers = [*logger.handlers, *(logging.root.handlers if logger.propagate else ())]
    return any(not isinstance(handler, logging.NullHandler) for handler in handlers)
