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
    handlers = {number: handler for number in _HELD if callable(handler := signal.getsignal(number))}
    came: list[int] = []

    def note(signum: int, frame: Any) -> None:
        came.append(signum)

    for number in handlers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for signum in came:
            signal.raise_signal(signum)
