"""The library's logger: nothing is printed unless the user configures logging."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("fastadagrad")
logger.addHandler(logging.NullHandler())  # or warnings would go to stderr where nobody has configured logging


@contextmanager
def compilation(dispatcher: Any, what: str) -> Iterator[None]:
    """Log around the first call of a compiled function in this process, which may have to compile it."""
    if dispatcher.signatures:
        yield
        return
    logger.info("preparing %s: compiled on the first ever call (seconds), read from the cache later", what)
    start = time.perf_counter()
    yield
    if dispatcher.stats.cache_misses:
        logger.info("compiled %s in %.1f s", what, time.perf_counter() - start)
