"""The command `fit` in several processes that mpiexec has started: all train, and process 0 prints and writes."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import Any

from ..mpi.agreement import follows_agreed
from ..support.contents import STDIN
from ..support.extras import needed
from ..support.log import logger

# What processes other than the first are given in the place of these options, as they tell and write nothing.
SILENT = {"model": None, "plot": None, "test": None, "json": False, "quiet": True, "progress": False}


def run(arguments: argparse.Namespace, command: Callable[[argparse.Namespace, Any], int]) -> int:
    """Run the command in this process, one of several, with the communicator of all; what one raises, process 0 tells.

    Returns
    -------
    int
        Exit status of process 0; that of others is 0, as some programs end the whole job at once where one fails.
    """
    from ..linear.divided import among

    comm = needed("mpi4py.MPI", "fit under mpiexec").COMM_WORLD
    leads = comm.Get_rank() == 0
    if not leads:
        logger.setLevel(logging.CRITICAL + 1)
        arguments = argparse.Namespace(**{**vars(arguments), **SILENT})
    try:
        with among(comm):
            _refuse_undivided(arguments, comm.Get_size())
            return command(arguments, comm)
    except BaseException as error:
        if leads or not follows_agreed(error):
            raise
        return 0


def _refuse_undivided(arguments: argparse.Namespace, processes: int) -> None:
    """Raise ValueError for what cannot be divided among processes."""
    if getattr(arguments, "batch_size", 1) == 1:
        raise ValueError(
            f"mpiexec has started {processes} processes, which divide each batch among them, and --batch-size is 1: "
            "give a larger one, as --batch-size 1024, or leave mpiexec out"
        )
    for name in ("source", "valid"):
        if getattr(arguments, name) == STDIN:
            raise ValueError(
                f"{name}: standard input is that of one process, and mpiexec has started several: give a file"
            )
