"""Tables that are larger than one machine: each process has some rows."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.shard import Shard
from ..kernels.memory.storage import PRECISIONS
from ..support.asking import asking, path_text, shown
from ..support.checks import whole_number
from .agreement import Agreement
from .communicator import processes_of
from .cuts import cut
from .processes import Lockstep

Shape = tuple[int, ...]


def shard(shape: Any, dtype: Any = np.float32, comm: Any = None, *, path: Any = None) -> Shard:
    """Divide an array of zeros among processes, so that each has some rows and none has all.

    The array is a parameter for an optimizer that is made with the same `comm`, and takes gradients by `Rows`, whose
    indices are row numbers of the whole array. Rows travel to the processes that have them, and
    ``opt.read_rows(name, indices)`` fetches rows from there. In a run ``touches=`` names the rows that the loss reads;
    ``params[name][indices]`` gives them, as that of an array of NumPy's would.

    Parameters
    ----------
    shape : tuple of int
        The shape of the whole array, ``(rows, ...)``, which has two dimensions or more. It is cut between rows at
        multiples of 4,096 elements.
    dtype : dtype, default float32
        float16, float32, float64 or ml_dtypes.bfloat16.
    comm : mpi4py communicator
        Its processes all make this call.
    path : path-like, optional
        The rows are in a file of this process, ``path.RANK-of-SIZE``, which is mapped into memory: made if it is
        missing, and gone on with if there is one, of the same dtype. Without `path` they are in memory. The state of an
        optimizer, and its best parameters, are in memory either way.

    Returns
    -------
    Shard
        The rows of this process: ``rows``, which can be written, with the numbers ``start`` to ``stop - 1``.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, differs between processes, or a file has another size; in all processes.
    OSError
        If the file cannot be made or opened.

    Examples
    --------
    >>> import fastadagrad as fa
    >>> from mpi4py import MPI  # doctest: +SKIP
    >>> table = fa.shard((1_000_000_000, 16), comm=MPI.COMM_WORLD)  # doctest: +SKIP
    >>> table.rows[...] = np.random.default_rng(table.start).standard_normal(table.rows.shape)  # doctest: +SKIP
    >>> opt = fa.ADAGRAD(params={"table": table}, comm=MPI.COMM_WORLD)  # doctest: +SKIP
    """
    if comm is None:
        raise TypeError("comm is missing: give the communicator of the processes that share the array")
    found = processes_of(comm)
    if found is None:
        whole, kind, name = _checked(shape, dtype, path)
        return Shard(_rows(whole, kind, name, 0, 1), whole, [0, whole[0]], 0)
    processes = Lockstep(found)
    agreement, about = Agreement(processes), "shard"
    whole, kind, name = agreement.everywhere(about, lambda: _checked(shape, dtype, path))
    given = processes.all_of(about, (whole, str(kind), name is None))
    if len({*given}) > 1:
        raise ValueError(f"all processes must be given the same shape and dtype, and all a path or none: {given}")
    bounds = cut([whole], [False], processes.size)[0]
    own = bounds[processes.rank + 1] - bounds[processes.rank]
    rows = agreement.everywhere(about, lambda: _rows((own, *whole[1:]), kind, name, processes.rank, processes.size))
    return Shard(rows, whole, bounds, processes.rank)


def _checked(shape: Any, dtype: Any, path: Any) -> tuple[Shape, np.dtype[Any], str | None]:
    with asking("shape", shape):
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise TypeError(f"shape must be a tuple of whole numbers, not {shown(shape)}")
        found = tuple(whole_number("shape", extent, 0) for extent in shape)
    if len(found) < 2:
        raise ValueError(f"shape must be of rows and columns, two numbers or more, not {shown(shape)}")
    with asking("dtype", dtype):
        try:
            kind = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"dtype must be one of floats, not {shown(dtype)}") from None
    if kind.name not in PRECISIONS or not kind.isnative:
        raise ValueError(f"dtype must be {', '.join(PRECISIONS)}, in this machine's byte order, not {kind}")
    name = None if path is None else path_text("path", path, "the path of a file")
    if name is not None and (not name or "\0" in name):
        raise ValueError(f"path must be the path of a file, not {shown(path)}")
    return found, kind, name


def _rows(shape: Shape, dtype: np.dtype[Any], path: str | None, rank: int, size: int) -> Any:
    """Zeros in memory, or what a file has."""
    expected = dtype.itemsize * math.prod(shape)
    if path is None or not expected:  # a file of no bytes cannot be mapped
        return np.zeros(shape, dtype)
    _refuse_of_others(path, size)
    name = f"{path}.{rank}-of-{size}"
    if not os.path.exists(name):
        _make(name, expected)
    there = os.path.getsize(name)
    if there != expected:
        raise ValueError(
            f"{name} has {there} bytes, and rows of shape {shape} in {dtype} take {expected}: give another path, or "
            "delete it"
        )
    return np.memmap(name, dtype, "r+", shape=shape)


def _refuse_of_others(path: str, size: int) -> None:
    """Raise ValueError if there are files of another number of processes."""
    folder, stem = os.path.split(path)
    pattern = re.compile(re.escape(stem) + r"\.[0-9]+-of-([0-9]+)")
    for name in os.listdir(folder or os.curdir):
        found = pattern.fullmatch(name)
        if found is not None and int(found[1]) != size:
            raise ValueError(
                f"path: {name} is of {found[1]} processes, and here are {size}: give another path, into which a "
                "checkpoint can be loaded, or delete the files"
            )


def _make(name: str, size: int) -> None:
    """A file of zeros, with room on the disk: to write where there is none would be a crash."""
    with open(name, "xb") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError as error:
            os.unlink(name)
            raise OSError(error.errno, error.strerror, name) from None
