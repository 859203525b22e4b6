"""The end of a whole MPI job where one of its processes fails or hangs, as the others would wait for it for ever."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from ..support.extras import needed

FORWARDED_AFTER = 0.5  # seconds in which mpiexec forwards what a process has written; Abort ends mpiexec itself
LONGEST_WAIT = "FASTADAGRAD_MPI_TIMEOUT"  # what the environment calls the longest wait, in seconds
LONGEST_WAIT_BY_DEFAULT = 3600.0


class Waiting(Protocol):
    """What may wait for the other processes."""

    rank: int
    waiting_since: float | None  # by `time.monotonic`


def end_at_errors() -> None:
    """Have an exception that nobody catches end all processes."""
    if not isinstance(sys.excepthook, _Aborting):
        sys.excepthook = _Aborting(sys.excepthook)
    if not isinstance(threading.excepthook, _Aborting):
        threading.excepthook = _Aborting(threading.excepthook)


class _Aborting:
    """A hook for exceptions that nobody catches: it shows one as the hook before it does, and ends the job."""

    def __init__(self, show: Callable[..., object]) -> None:
        self._show = show

    def __call__(self, *exception: Any) -> None:
        if hasattr(sys, "ps1"):  # at a prompt, where the session goes on
            self._show(*exception)
            return
        try:
            self._show(*exception)
        finally:
            _end_the_job()


def _end_the_job() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(FORWARDED_AFTER)
    finally:
        needed("mpi4py.MPI", "comm=").COMM_WORLD.Abort(1)


def longest_wait() -> float:
    """Seconds that a process waits for the others before it ends the job; 0 for ever.

    Raises
    ------
    ValueError
        If the environment has no number for it.
    """
    given = os.environ.get(LONGEST_WAIT, str(LONGEST_WAIT_BY_DEFAULT))
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError(f"{LONGEST_WAIT} must be a number of seconds, 0 for no limit, not {given!r}")
    return seconds


def end_at_long_waits(waiting: Waiting) -> None:
    """Have the job end once this process has waited longer than `longest_wait` for the others."""
    seconds = longest_wait()
    if seconds:
        _watch(seconds).add(waiting)


@cache
def _watch(seconds: float) -> weakref.WeakSet[Waiting]:
    """What a thread watches."""
    watched: weakref.WeakSet[Waiting] = weakref.WeakSet()
    threading.Thread(target=_look_after, args=(watched, seconds), name="waits for processes", daemon=True).start()
    return watched


def _look_after(watched: weakref.WeakSet[Waiting], seconds: float) -> None:
    while True:
        time.sleep(min(1.0, seconds / 4))
        for each in list(watched):
            since = each.waiting_since
            if since is not None and time.monotonic() - since > seconds:
                print(
                    f"fastadagrad: process {each.rank} has waited for the others for {seconds:g} seconds, and ends the "
                    f"job: one of them hangs, or makes no such call ({LONGEST_WAIT} says how long to wait, 0 for ever)",
                    file=sys.stderr,
                )
                _end_the_job()
