"""What a forked process has to make anew."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable


def in_forked_child(callback: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every process that is forked from this one; a decorator."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=callback)
    return callback


class Lock:
    """A reentrant lock that is open in a forked process: in the parent a thread, which is not there, may hold it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


@in_forked_child
def _open_locks() -> None:
    for lock in _locks:
        lock._lock = threading.RLock()
