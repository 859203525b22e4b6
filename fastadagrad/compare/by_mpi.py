"""Runs in the processes of an MPI job: one of them hands the runs out, and the others make them."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..support.extras import needed
from .pool import ON_THE_CPU, ONE_THREAD, Worker, as_bytes, worker_of

if TYPE_CHECKING:
    from .contenders import Contender
    from .grid import Cell
    from .problem import Problem
    from .running import Run

_executor: Executor | None = None  # of the job that this process hands runs out to
_workers = 0
_worker: tuple[bytes, Worker] | None = None  # what the worker of this process was made of, and the worker


def workers() -> int:
    """How many processes make runs for this one; 0 outside of a block of `handing_out`."""
    return _workers


@contextmanager
def handing_out() -> Iterator[bool]:
    """A block in which process 0 hands out runs; True there.

    In the others, which make them, the block is entered when all have been made, with False.
    """
    global _executor, _workers
    world = needed("mpi4py.MPI", "a comparison under mpiexec").COMM_WORLD
    leads = world.Get_rank() == 0
    if not leads:
        os.environ.update(ONE_THREAD | ON_THE_CPU)  # for packages that have yet to be imported
        for number in (signal.SIGINT, signal.SIGTERM):  # mpiexec sends them to all; process 0 ends the others
            signal.signal(number, signal.SIG_IGN)
    with needed("mpi4py.futures", "a comparison under mpiexec").MPICommExecutor(world, root=0) as executor:
        if executor is not None:
            _executor, _workers = executor, world.Get_size() - 1
            try:
                yield True
            finally:
                _executor, _workers = None, 0
    if not leads:
        yield False


def run_by_mpi(
    cells: Sequence[Cell], problems: Mapping[str, Problem], methods: Mapping[str, Contender]
) -> Generator[Run, None, None]:
    """Have cells run by the other processes, and yield each run as soon as it is finished.

    Raises
    ------
    ValueError
        If a problem or a method cannot be sent to another process.
    """
    assert _executor is not None
    payload = as_bytes(problems, methods)
    futures = [_executor.submit(_run, payload, cell) for cell in cells]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _run(payload: bytes, cell: Cell) -> Run:
    global _worker
    if _worker is None or _worker[0] != payload:
        import numba

        numba.set_num_threads(1)
        needed("threadpoolctl", "a comparison under mpiexec").threadpool_limits(1)
        _worker = payload, worker_of(payload)
    return _worker[1](cell)
