"""Ctrl-C and SIGTERM while arrays are being written: they wait until the arrays are whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def whole() -> Iterator[None]:
    """Delay Ctrl-C, and a program's own handler of SIGTERM, to the end of the block, so that all of it is written."""
    if not _in_main_thread():
        yield
        return
    replaced: list[tuple[int, Any]] = []
    came: list[int] = []

    def note(signum: int, frame: Any) -> None:
        came.append(signum)

    try:
        for number in _HELD:
            handler = signal.getsignal(number)
            if callable(handler):
                replaced.append((number, handler))
                signal.signal(number, note)
        yield
    finally:
        _put_back(replaced)
        for signum in came:
            signal.raise_signal(signum)


def _put_back(handlers: list[tuple[int, Any]]) -> None:
    """Install handlers, all of them, also if the first that is installed is called at once and raises."""
    if handlers:
        number, handler = handlers.pop()
        try:
            signal.signal(number, handler)
        finally:
            _put_back(handlers)
