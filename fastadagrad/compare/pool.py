"""Runs in processes of their own, each with one thread."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

# This module imports no NumPy: a worker imports it before it sets how many threads NumPy's libraries may have.
if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.process import BaseProcess
    from multiprocessing.synchronize import Event

    from .contenders import Contender
    from .grid import Cell
    from .problem import Problem, Task
    from .running import Run

logger = logging.getLogger(__name__)

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
ON_THE_CPU = {"JAX_PLATFORMS": "cpu"}  # or each process would take a share of a GPU's memory


MOST_IN_VAIN = 3  # runs that one process may begin, each of which ends it

UNGUARDED = (
    "a process first runs the script that it is started from, so what only the script itself is to do, this call too, "
    'must stand there under `if __name__ == "__main__":`; or use jobs=0'
)


def refuse_unguarded() -> None:
    """Raise RuntimeError in a worker that is still importing the script it was started from, and got to `compare`."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(f"compare was called while one of its processes started: {UNGUARDED}")


class Worker:
    """Runs cells one after the other; it keeps the latest task, as the next cell most likely has the same.

    A run that raises is a result, too (`Run.failed`).
    """

    def __init__(self, problems: Mapping[str, Problem], methods: Mapping[str, Contender]) -> None:
        self._problems, self._methods = problems, methods
        self._latest: tuple[tuple[str, int], Task] | None = None
        self._lazy: dict[tuple[str, str], str] = {}

    def __call__(self, cell: Cell) -> Run:
        from .problems import task_of
        from .running import FAILURE, broken, lazy_for, run

        key, method = (cell.problem, cell.seed), self._methods[cell.method]
        try:
            if self._latest is None or self._latest[0] != key:
                self._latest = key, task_of(self._problems[cell.problem], cell.seed)
            task, kind = self._latest[1], (cell.problem, cell.method)
            if kind not in self._lazy:
                self._lazy[kind] = lazy_for(task, method)
            return run(cell, task, method, self._lazy[kind])
        except FAILURE as error:
            return broken(cell, error)


def worker_of(payload: bytes) -> Worker:
    """A worker, from what `as_bytes` has made of problems and methods."""
    from .problems import problem_named

    problems, methods = pickle.loads(payload)
    made = {name: problem_named(x) if isinstance(x, str) else x for name, x in problems.items()}
    return Worker(made, methods)


_worker: Worker | BaseException | None = None  # or the error that kept this process from having one


def _begin(payload: bytes, begun: Event) -> None:
    """Prepare a worker process, before its first cell."""
    global _worker
    begun.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends the workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["NUMBA_NUM_THREADS"] = "1"
    try:
        _worker = worker_of(payload)
    except (Exception, SystemExit) as error:  # which a pool would tell of as if the process had ended
        _worker = error


def _end_with_parent() -> None:
    """End this process when its parent has ended, as a parent that was killed does not end its workers."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(cell: Cell) -> Run:
    assert _worker is not None
    if isinstance(_worker, BaseException):
        raise _worker
    return _worker(cell)


def run_here(
    cells: Iterable[Cell], problems: Mapping[str, Problem], methods: Mapping[str, Contender]
) -> Generator[Run, None, None]:
    """Run cells in this process, with as many threads as NumPy's libraries have."""
    yield from map(Worker(problems, methods), cells)


def run_in_processes(
    cells: Iterable[Cell], problems: Mapping[str, Problem], methods: Mapping[str, Contender], jobs: int
) -> Generator[Run, None, None]:
    """Run cells in `jobs` processes, and yield each run as soon as it is finished.

    If a process ends before its time, new ones make the runs that are left. If no run has been finished since these
    began, they are half as many, as there may be too little memory; and one alone goes on with another run.

    Raises
    ------
    RuntimeError
        If one process, alone, ends before its first run is finished, and so do those that follow with two other runs.
    ValueError
        If a problem or a method cannot be sent to another process.
    """
    payload = as_bytes(problems, methods)
    context = multiprocessing.get_context("spawn")
    with _environment(ONE_THREAD | ON_THE_CPU):
        left, in_vain = list(cells), 0
        while left:
            before, jobs = len(left), min(jobs, len(left))
            ended = yield from _run_by_one_pool(left, payload, jobs, context)
            if len(left) < before:
                in_vain = 0
            elif jobs > 1:
                jobs //= 2
            else:
                in_vain += 1
                left.append(left.pop(0))
            if in_vain == min(len(left), MOST_IN_VAIN) > 0:
                raise RuntimeError(
                    f"a process ended before its time ({ended}): what was finished is kept, the same command goes on; "
                    "--jobs 0 runs in this process and shows more"
                )
            if left:
                logger.warning(
                    "a process ended before its time (%s): new processes make what it has not finished", ended
                )


def _run_by_one_pool(left: list[Cell], payload: bytes, jobs: int, context: SpawnContext) -> Generator[Run, None, str]:
    """Run cells, and take those that are finished out of `left`; the value is how a process ended, if one did."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    begun, others = context.Event(), {*multiprocessing.active_children()}
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(payload, begun))
    try:
        try:
            cells = {pool.submit(_run, cell): cell for cell in left}
        finally:
            processes = {*multiprocessing.active_children()} - others
        for future in as_completed(cells):
            run = future.result()
            left.remove(cells[future])
            yield run
        pool.shutdown()
        return ""
    except BrokenProcessPool:
        if not begun.is_set():
            raise RuntimeError(f"no process got as far as its first run: {UNGUARDED}") from None
        return _how_one_ended(processes)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _how_one_ended(processes: Iterable[BaseProcess]) -> str:
    """Say how one of these processes ended by itself: a pool that has lost one terminates the others."""
    for process in processes:
        process.join(10)
    codes = {process.exitcode or 0 for process in processes} - {0}
    by_itself = sorted(codes - {-signal.SIGTERM})
    if not by_itself:
        return "for an unknown reason"
    [code, *_] = by_itself
    if code >= 0:
        return f"with exit status {code}"
    reason = ": too little memory?" if code == -signal.SIGKILL else ""
    return f"by signal {-code}, {signal.strsignal(-code)}{reason}"


def as_bytes(problems: Mapping[str, Problem], methods: Mapping[str, Contender]) -> bytes:
    """Problems and methods as bytes for `worker_of`; problems that have a name are made anew there."""
    named = {name: problem.origin or problem for name, problem in problems.items()}
    try:
        return pickle.dumps((named, dict(methods)))
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            f"a problem or a method cannot be sent to other processes ({error}): the make of a problem, and a class of "
            "your own, must be of a module, or jobs 0"
        ) from None


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
