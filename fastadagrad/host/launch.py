"""Launches of compiled code: on how many threads, and never two launches on several threads at a time."""

from __future__ import annotations

import threading
from typing import Any

import numba

from ..kernels.forking import OF_LAUNCHES, await_at_fork, in_forked_child, was_held
from ..kernels.jit import Pair
from ..support.log import compilation

_one_launch = threading.Lock()  # the workqueue threading layer aborts the process if two threads launch at once
_forked = False


@in_forked_child
def _note_fork() -> None:
    """Make the lock anew in a forked process, if a thread of the parent, which does not exist here, may hold it."""
    global _forked, _one_launch
    _forked = True
    if not was_held(_one_launch):
        _one_launch = threading.Lock()


await_at_fork(OF_LAUNCHES, lambda: [_one_launch])


def usable_threads(wanted: int | None) -> int:
    """How many threads to use: all that Numba has, or `wanted` if that is fewer."""
    available: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    return min(wanted or available, available)


def launch(pair: Pair, spans: int, *arguments: Any) -> Any:
    """Call a pair, its work split into `spans` shares; into one only in a forked process, where OpenMP would abort."""
    if spans > 1 and not _forked:
        return _threaded(pair, spans, arguments)
    if not pair.serial.overloads:
        with compilation(pair.serial, pair.what):
            return pair.serial(1, *arguments)
    return pair.serial(1, *arguments)


def _threaded(pair: Pair, spans: int, arguments: tuple[Any, ...]) -> Any:
    with _one_launch:
        if not pair.threaded.overloads:
            with compilation(pair.threaded, pair.what):
                return pair.threaded(spans, *arguments)
        return pair.threaded(spans, *arguments)
