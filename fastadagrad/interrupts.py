"""Ctrl-C while arrays are at work."""

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
    """Holds Ctrl-C back while an iteration works; a second one raises."""

    def __init__(self) -> None:
        self.pending = False

    def _note(self, signum: int, frame: Any) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        logger.warning("interrupted: stopping after this step (Ctrl-C again stops at once)")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only where Python's own handler is at work: a program that has its own keeps it."""
        own = _in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if own:
            signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            if own and signal.getsignal(signal.SIGINT) == self._note:
                signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def whole() -> Iterator[None]:
    """Let Ctrl-C do what it does only after the arrays that are being written are all written."""
    handler = signal.getsignal(signal.SIGINT) if _in_main_thread() else None
    if not callable(handler):
        yield
        return
    came = 0

    def note(signum: int, frame: Any) -> None:
        nonlocal came
        came += 1

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        for _ in range(came):
            signal.raise_signal(signal.SIGINT)
