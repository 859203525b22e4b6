"""Who may read and change an optimizer: one thread at a time, and nobody from within what a step or a run calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, TypeVar, cast

FROM_WITHIN = (
    "{} is called from within a step, a run or an evaluation of this optimizer: a loss, a monitor, an update, a "
    "learning rate or a signal's handler cannot change the optimizer that it is called by; nothing has been changed, "
    "do it between steps"
)
POLLING = 0.005  # seconds from one look to the next at whether evaluations have ended

Result = TypeVar("Result")


class Access:
    """The lock of an optimizer, and notes of which threads are in a function that the optimizer has called.

    What reads parameters or state holds `lock`, and what changes them holds it by way of `changing`. An evaluation does
    not hold the lock, as its loss may have threads of its own that read rows; changes wait until it has ended.

    Ctrl-C may come wherever Python calls something. So the notes are taken back in blocks that call nothing.

    Attributes
    ----------
    busy : bool
        Whether a step is under way; it is one of the thread that has the lock.
    callers : dict
        For each thread that is in a function of the user's, how many calls of the optimizer it is in. `busy` and
        `callers` are both false in the usual step, which looks no further then.
    """

    def __init__(self) -> None:
        self.busy = False
        self.callers: dict[int, int] = {}
        self._evaluating: dict[int, int] = {}
        self._make_lock()

    def _make_lock(self) -> None:
        self.lock = threading.RLock()
        self._waiting = threading.Condition(self.lock)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call something that calls functions of the user's, which cannot change this optimizer meanwhile."""
        return self._noted(self.callers, function, arguments)

    def evaluate(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """The same, and let other threads read only, so that all of an evaluation is of the same parameters."""
        return cast(Result, self._noted(self._evaluating, self.call, (function, *arguments)))

    @staticmethod
    def _noted(notes: dict[int, int], function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
        """Call a function, which this thread's note counts meanwhile."""
        me = get_ident()
        before = notes.get(me, 0)
        notes[me] = before + 1
        try:
            return function(*arguments)
        finally:
            if before:
                notes[me] = before
            else:
                del notes[me]

    @contextmanager
    def changing(self, what: str) -> Iterator[None]:
        """Hold the lock for a change; RuntimeError from within a step, a run or an evaluation."""
        with self.lock:
            if self.busy or self.callers:
                self.begin_change(what)
            yield

    def begin_change(self, what: str) -> None:
        """Refuse a change from within a step, a run or an evaluation, and wait for evaluations of other threads.

        The lock is held by whoever calls this. The message names `what` is refused.
        """
        if self.busy or get_ident() in self.callers:
            raise RuntimeError(FROM_WITHIN.format(what))
        while self._evaluating:
            self._waiting.wait(POLLING)

    def refuse_within(self, what: str) -> None:
        """The same refusal for a change that needs no lock, and waits for nobody."""
        here = get_ident() in self.callers
        if not here and self.lock.acquire(blocking=False):  # if it cannot, the step is another thread's
            here = self.busy
            self.lock.release()
        if here:
            raise RuntimeError(FROM_WITHIN.format(what))

    def take_over_fork(self, held: bool) -> None:
        """Go on in a forked process, where the only thread is the one that has forked.

        `held` says whether that thread has the lock. If not, there may be nobody to open it.
        """
        me = get_ident()
        for notes in (self.callers, self._evaluating):
            for other in [*notes]:
                if other != me:
                    del notes[other]
        if not held:
            self.busy = False
            self._make_lock()
