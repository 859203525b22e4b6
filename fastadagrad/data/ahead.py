"""Work done ahead by threads in the background, with results in the order of the work, whatever the threads' number."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Job = Callable[[], T]  # e.g. to parse some text that has been read

MOST_BY_DEFAULT = 4  # more than these are waiting for the one thread that trains
MOST_THREADS = 1024  # far more than can be of use; to start many more takes all time and memory


def default_threads() -> int:
    """The number of background threads if none is given: the cores that this process may use, at most four."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # on systems without this call
        cores = os.cpu_count() or 1
    return max(1, min(cores, MOST_BY_DEFAULT))


class _Ahead(Generic[T]):
    """Threads that draw jobs one at a time, each from where the last stopped, and do them side by side.

    At most `room` results are held or under way. The jobs are drawn under a lock, so that an iterator which reads a
    file is run by one thread at a time, and never by the thread that takes the results.
    """

    def __init__(self, jobs: Iterator[Job[T]], threads: int, room: int) -> None:
        self._jobs, self._draw = jobs, threading.Lock()
        self._changed = threading.Condition()
        self._results: dict[int, tuple[T | None, BaseException | None]] = {}
        self._drawn, self._taken, self._room = 0, 0, room
        self._end: int | None = None  # number of jobs, once it is known
        self._stopped = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while True:
            with self._draw:
                with self._changed:
                    while self._drawn - self._taken >= self._room and not self._stopped:
                        self._changed.wait()
                    if self._stopped or self._end is not None:
                        return
                number = self._drawn
                try:
                    job = next(self._jobs, None)
                except BaseException as error:  # the thread that takes the results raises it
                    self._put(number, None, error, last=True)
                    return
                if job is None:
                    with self._changed:
                        self._end = number
                        self._changed.notify_all()
                    return
                self._drawn += 1
            try:
                self._put(number, job(), None)
            except BaseException as error:
                self._put(number, None, error)

    def _put(self, number: int, result: T | None, error: BaseException | None, last: bool = False) -> None:
        with self._changed:
            self._results[number] = result, error
            if last:
                self._drawn, self._end = number + 1, number + 1
            self._changed.notify_all()

    def results(self) -> Iterator[T]:
        while True:
            with self._changed:
                while self._taken not in self._results and self._taken != self._end:
                    self._changed.wait()
                if self._taken == self._end:
                    return
                result, error = self._results.pop(self._taken)
                self._taken += 1
                self._changed.notify_all()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]
            del result

    def stop(self) -> None:
        """End the threads, each after the job that it is doing, and close the iterator of jobs.

        A thread that waits for a pipe is left behind: it is a daemon, which does not keep the program from ending.
        """
        with self._changed:
            self._stopped = True
            self._results.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1)
        if self._draw.acquire(blocking=False):
            try:
                close = getattr(self._jobs, "close", None)
                if close is not None:
                    close()
            finally:
                self._draw.release()


def in_order(jobs: Iterator[Job[T]], threads: int, room: int) -> Iterator[T]:
    """The results of jobs that `threads` threads do ahead, in the order of the jobs; at most `room` are held.

    An exception of a job is raised in the place of its result. Without threads, each job is done when it is asked for.
    """
    if not threads:
        for job in jobs:
            yield job()
        return
    ahead = _Ahead(jobs, threads, max(room, threads))
    try:
        yield from ahead.results()
    finally:
        ahead.stop()


@contextmanager
def closed_at_end(results: Iterator[T]) -> Iterator[Iterator[T]]:
    """An iterator of `in_order`, whose threads end with the block, however it is left."""
    with closing(results) as open_results:  # type: ignore[type-var]
        yield open_results


def composed(jobs: Iterator[Job[Any]], then: Callable[[Any], T]) -> Iterator[Job[T]]:
    """Jobs that do the same and then something more with the result."""
    try:
        for job in jobs:
            yield lambda job=job: then(job())  # type: ignore[misc]
    finally:
        close = getattr(jobs, "close", None)
        if close is not None:
            close()
