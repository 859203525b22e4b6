"""Ctrl-C and SIGTERM while arrays are being written: they wait until the arrays are whole."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .log import logger


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class Interrupts:
    """Holds Ctrl-C back while an iteration works; a second Ctrl-C raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.pending = False

    def _note(self, signum: int, frame: Any) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        logger.warning("interrupted: stopping after this step (Ctrl-C again stops at once)")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note Ctrl-C instead of raising, unless the program has a handler of its own for it."""
        own = _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if own:
            signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            if own and signal.getsignal(signal.SIGINT) == self._note:
                signal.signal(signal.SIGINT, signal.default_int_handler)


_HELD = signal.SIGINT, signal.SIGTERM


class Delayed:
    """Signals that have come in a block, whose handlers are called when the program says so, or at its end."""

    def __init__(self) -> None:
        self._came: list[int] = []
        self._handlers: dict[int, Any] = {}

    def __bool__(self) -> bool:
        """Whether there are signals whose handlers have not been called."""
        return bool(self._came)

    def deliver(self) -> None:
        """Call the handlers of the signals that have come so far."""
        while self._came:
            number = self._came.pop(0)
            self._handlers[number](number, sys._getframe())

    def _note(self, signum: int, frame: Any) -> None:
        self._came.append(signum)

    def _begin(self) -> None:
        for number in _HELD:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._note)

    def _end(self) -> None:
        _put_back([*self._handlers.items()])
        for signum in self._came:
            signal.raise_signal(signum)


@contextmanager
def delayed() -> Iterator[Delayed]:
    """Delay Ctrl-C, and a program's own handler of SIGTERM, until the program has them delivered, or the block ends."""
    found = Delayed()
    if not _in_main_thread():
        yield found
        return
    try:
        found._begin()
        yield found
    finally:
        found._end()


def whole() -> AbstractContextManager[object]:
    """Delay Ctrl-C, and a program's own handler of SIGTERM, to the end of the block, so that all of it is written."""
    return delayed()


def _put_back(handlers: list[tuple[int, Any]]) -> None:
    """Install handlers, all of them, also if the first that is installed is called at once and raises."""
    if handlers:
        number, handler = handlers.pop()
        try:
            signal.signal(number, handler)
        finally:
            _put_back(handlers)
