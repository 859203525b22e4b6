"""Forks: what a fork waits for, callbacks that run in a forked process, and locks that a forked process finds open."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

PATIENCE = 60.0  # seconds for which a fork waits for other threads

OF_STEPS, OF_LAUNCHES, OF_THE_COMPILER = range(3)  # kinds of locks, in the order in which a thread takes them

_awaited: dict[int, Callable[[], Iterable[Any]]] = {}  # by kind, functions that give the locks there are
_held: dict[int, list[Any]] = {}  # by thread, the locks that it has taken for its fork


def in_forked_child(callback: Callable[[], None]) -> Callable[[], None]:
    """Have a function called in every process that is forked from this one; a decorator."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=callback)
    return callback


def await_at_fork(kind: int, locks: Callable[[], Iterable[Any]]) -> None:
    """Let a fork take these locks, and open them afterwards in both processes.

    In the forked process there is no other thread, which might have been in the midst of something: a step that was
    half made would stay so, and a lock that it held would never be opened. So the fork waits until no thread has one of
    the locks, or until its patience is at an end. `was_held` says in the child which it was.
    """
    _awaited[kind] = locks


def was_held(lock: Any) -> bool:
    """Whether the thread that has forked had a lock, so that the lock is open in the child."""
    return any(lock is each for each in _held.get(threading.get_ident(), ()))


def _take_locks() -> None:
    taken: list[Any] = []
    _held[threading.get_ident()], deadline = taken, time.monotonic() + PATIENCE
    for kind in sorted(_awaited):
        for lock in _awaited[kind]():
            if lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                taken.append(lock)


def _open_in_parent() -> None:
    for lock in reversed(_held.pop(threading.get_ident(), [])):
        lock.release()


def _open_in_child() -> None:
    """Open the locks; callbacks that are registered later still learn from `was_held` which these were."""
    for lock in reversed(_held.get(threading.get_ident(), [])):
        lock.release()


def _lock_of_the_compiler() -> Iterable[Any]:
    """Numba's lock and that of LLVM below it, which also freeing a kernel takes.

    Only what can be found and has been imported: the names are private to Numba and llvmlite and may move.
    """
    numbas = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    llvms = getattr(getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None), "_lock", None)
    locks = getattr(numbas, "_lock", None), getattr(llvms, "_lock", None)
    return [lock for lock in locks if lock is not None]


if hasattr(os, "register_at_fork"):
    await_at_fork(OF_THE_COMPILER, _lock_of_the_compiler)
    os.register_at_fork(before=_take_locks, after_in_parent=_open_in_parent, after_in_child=_open_in_child)


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

    def taken(self) -> bool:
        """Take the lock, unless another thread has it; whether it is taken, to be released by `__exit__`."""
        return self._lock.acquire(blocking=False)


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


@in_forked_child
def _open_locks() -> None:
    for lock in _locks:
        lock._lock = threading.RLock()
