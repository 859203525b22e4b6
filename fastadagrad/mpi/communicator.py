"""What users give as ``comm=``, made into the processes that the rest of this package knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..support.asking import asking, shown
from .engine import ShardedEngine
from .messages import Messages
from .processes import Processes

REDUCTIONS = "mean", "sum", "mean64", "sum64"
_OF_PROCESSES = ("rank", "size", "all_of", "exchange", "exchanged", "complete")
_OF_MPI4PY = ("Dup", "Is_inter", "Alltoallv", "Ialltoallv", "Iallgatherv", "Isend", "Irecv", "allgather")


def engines_among(comm: Any, reduction: str) -> Callable[..., ShardedEngine] | None:
    """What makes the engine of this process, for its part of the parameters; None if there is but one process.

    Raises
    ------
    TypeError, ValueError
        If `comm` is no communicator, or `reduction` is none of `REDUCTIONS`.
    """
    with asking("reduction", reduction):
        if not isinstance(reduction, str) or reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be 'mean', 'sum', 'mean64' or 'sum64', not {shown(reduction)}")
    processes = processes_of(comm)
    return None if processes is None else partial(ShardedEngine, processes=processes, reduction=reduction)


def processes_of(comm: Any) -> Processes | None:
    """The processes of a communicator of mpi4py; None if there is but one, which needs no messages.

    Raises
    ------
    TypeError
        If it is no such communicator.
    """
    with asking("comm", comm):
        if all(hasattr(comm, name) for name in _OF_PROCESSES):
            found: Processes = comm
            return found if found.size > 1 else None
        if not all(hasattr(comm, name) for name in _OF_MPI4PY) or not comm or comm.Is_inter():
            raise TypeError(
                f"comm must be an intracommunicator of mpi4py, such as mpi4py.MPI.COMM_WORLD, not {type(comm).__name__}"
            )
        return Messages(comm) if comm.Get_size() > 1 else None
