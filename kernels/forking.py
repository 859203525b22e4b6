"""Callbacks that run in a forked process, and locks that a forked process finds open."""

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
    """A reentrant lock that a forked process finds open.

    When the process forks, a thread of the parent may hold the lock. The child does not have that thread, so that the
    lock would never be released there.
    """

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
