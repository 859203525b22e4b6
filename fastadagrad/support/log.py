"""The library's logger: nothing is printed unless the user configures logging."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("fastadagrad")
logger.addHandler(logging.NullHandler())  # otherwise warnings go to stderr if nobody has configured logging

LOADING = 0.4  # seconds; reading compiled code from the disk cache takes less


@contextmanager
def compilation(dispatcher: Any, what: str) -> Iterator[None]:
    """Log around the first call of a compiled function in this process, if it has to compile it."""
    if dispatcher.overloads:
        yield
        return
    told = threading.Timer(LOADING, logger.info, ["compiling %s: takes seconds, the first time only", what])
    told.daemon = True
    told.start()
    start = time.perf_counter()
    try:
        yield
    finally:
        told.cancel()
    if dispatcher.stats.cache_misses:
        logger.info("compiled %s in %.1f s", what, time.perf_counter() - start)
