"""Kernels that take NumPy arrays and numbers, and launches that take addresses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .code import Code, compile
from .grid import Grid
from .program import TYPES

Size = int | Sequence[int]


def _sizes(name: str, size: Size) -> tuple[int, int, int]:
    found = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
    if not 1 <= len(found) <= 3 or any(int(n) != n or n < 0 for n in found):
        raise ValueError(f"{name} is one to three whole numbers, not {size!r}: give 4 or (4, 1, 1)")
    x, y, z = [int(n) for n in (*found, 1, 1)][:3]
    return x, y, z


def _make(code: Code, blocks: Size, threads: Size, memory: Sequence[np.ndarray], seed: int | None, **how: Any) -> Grid:
    grid, block = _sizes("grid", blocks), _sizes("block", threads)
    count, program = int(np.prod(block)), code.program
    most = min(1024, program.most_threads or 1024)
    if count > most or (program.exact_threads or count) != count:
        allowed = program.exact_threads or f"at most {most}"
        raise ValueError(f"block: {program.name} takes {allowed} threads a block, not {count}: launch it with these")
    if seed is None:
        seed = int(np.random.default_rng().integers(2**32))
    return Grid(code, grid, block, memory, seed, **how)


def launch(
    ptx: str,
    blocks: Size,
    threads: Size,
    arguments: Sequence[Any],
    memory: Sequence[np.ndarray],
    *,
    kernel: str | None = None,
    seed: int | None = None,
    races: bool = True,
    contraction: bool = False,
    shared: int = 0,
) -> Grid:
    """Run a kernel on the CPU as a driver would: so many blocks of threads, with these parameters, in these arrays.

    Parameters
    ----------
    ptx : str
        The text of a module.
    blocks, threads : int or up to three ints
        Blocks of the grid, and threads of a block.
    arguments : sequence of numbers
        A value for each parameter; an array's is its address.
    memory : sequence of arrays
        All that the kernel may read and, where it is writable, write.
    kernel : str, optional
        The kernel's name, if the module has several.
    seed : int, optional
        Of junk and of the order of threads. By default another one each time.
    races : bool
        Look for races. Without, a race shows in results that differ by the seed.
    contraction : bool
        Permit `fma.rn`.
    shared : int
        Bytes of shared memory beside the kernel's own variables.

    Returns
    -------
    grid : Grid
        What has run: `grid.executed` steps, by the order of `grid.seed`.

    Raises
    ------
    Fault
        The kernel does what it must not, or what is not in the subset. The message has the instruction and the seed.
    ValueError
        No such kernel, or numbers of threads or parameters that are not its own.
    """
    code = compile(ptx, kernel, contraction)
    if len(arguments) != len(code.program.parameters):
        wanted = ", ".join(name for _, name in code.program.parameters)
        raise ValueError(f"arguments: {code.program.name} takes {wanted}, and not {len(arguments)} values: give each")
    grid = _make(code, blocks, threads, memory, seed, races=races, shared=shared)
    grid.run(arguments)
    return grid


class Kernel:
    """A kernel that is called with arrays and numbers.

    Parameters
    ----------
    ptx : str
        The text of a module.
    name : str, optional
        The kernel's, if the module has several.
    contraction : bool
        Permit `fma.rn`.

    Examples
    --------
    >>> import numpy as np
    >>> import ptx
    >>> double = ptx.load('''
    ... .version 8.0
    ... .target sm_90
    ... .address_size 64
    ... .visible .entry double(.param .u64 x)
    ... {
    ...     .reg .b64 %rd<4>;
    ...     .reg .b32 %r<2>;
    ...     .reg .f32 %f<2>;
    ...     ld.param.u64 %rd1, [x];
    ...     mov.u32 %r1, %tid.x;
    ...     mul.wide.u32 %rd2, %r1, 4;
    ...     add.s64 %rd3, %rd1, %rd2;
    ...     ld.global.f32 %f1, [%rd3];
    ...     add.rn.f32 %f1, %f1, %f1;
    ...     st.global.f32 [%rd3], %f1;
    ...     ret;
    ... }
    ... ''')
    >>> x = np.arange(4, dtype=np.float32)
    >>> grid = double(1, 4, x)
    >>> x
    array([0., 2., 4., 6.], dtype=float32)
    >>> double(1, 5, x, seed=3)
    Traceback (most recent call last):
    ...
    ptx.fault.Fault: access outside of the arrays, at ..., in: ld.global.f32 %f1, [%rd3]; (seed 3)
    """

    def __init__(self, ptx: str, name: str | None = None, contraction: bool = False) -> None:
        self._code = compile(ptx, name, contraction)
        self.name, self.parameters = self._code.program.name, list(self._code.program.parameters)

    def __repr__(self) -> str:
        return f"<kernel {self.name}({', '.join(f'{kind} {name}' for kind, name in self.parameters)})>"

    def __call__(
        self, grid: Size, block: Size, *arguments: Any, seed: int | None = None, races: bool = True, shared: int = 0
    ) -> Grid:
        """Run it; arrays are changed where they are.

        Parameters
        ----------
        grid, block : int or up to three ints
            Blocks of the grid, and threads of a block.
        *arguments : arrays and numbers
            A value for each parameter. An array is contiguous, and its address is the value.
        seed, races, shared
            As in `launch`.

        Returns
        -------
        grid : Grid
            As from `launch`.

        Raises
        ------
        Fault
            The kernel does what it must not.
        TypeError, ValueError
            An argument is none for its parameter.
        """
        if len(arguments) != len(self.parameters):
            raise ValueError(f"arguments: {self!r} takes {len(self.parameters)}, and not {len(arguments)}: give each")
        pairs = zip(self.parameters, arguments, strict=True)
        values = [_value(kind, name, argument) for (kind, name), argument in pairs]
        memory = [argument for argument in arguments if isinstance(argument, np.ndarray)]
        made = _make(self._code, grid, block, memory, seed, races=races, shared=shared)
        made.run(values)
        return made


def _value(kind: str, name: str, argument: Any) -> Any:
    """A number in the type of a parameter, or the address of an array."""
    dtype = TYPES[kind]
    if isinstance(argument, np.ndarray):
        if dtype.kind == "f" or dtype.itemsize < 8:
            raise TypeError(f"{name} is a number of type {kind}, and no array: give a number")
        if not argument.flags.c_contiguous:
            raise ValueError(f"{name} is not contiguous: give np.ascontiguousarray of it")
        if argument.dtype.hasobject or not argument.dtype.isnative:
            raise TypeError(f"{name} has elements that no GPU has, {argument.dtype!r}: give native numbers")
        return argument.ctypes.data
    if isinstance(argument, (bool, int, np.integer, np.bool_)) and dtype.kind in "iu":
        low, high = -(2 ** (8 * dtype.itemsize - 1)), 2 ** (8 * dtype.itemsize)
        if low <= argument < high:
            return np.array(int(argument) % high, f"u{dtype.itemsize}").view(dtype)
    elif isinstance(argument, (bool, int, float, np.number)) and dtype.kind == "f":
        return dtype.type(argument)
    raise TypeError(f"{name} is of type {kind}, not {argument!r}: give an array or a number that fits")


def load(ptx: str | Path, name: str | None = None, contraction: bool = False) -> Kernel:
    """A kernel of a module.

    Parameters
    ----------
    ptx : str or Path
        The text, or the path of a file with it.
    name : str, optional
        The kernel's, if the module has several.
    contraction : bool
        Permit `fma.rn`.

    Raises
    ------
    Fault
        An instruction is not in the subset.
    ValueError
        There is no such kernel, or no name is given and there are several.
    """
    return Kernel(ptx.read_text(encoding="utf-8") if isinstance(ptx, Path) else ptx, name, contraction)


def differing(
    run: Callable[..., Any], arguments: Sequence[Any], seeds: Iterable[int], unwritten: Sequence[int] = ()
) -> list[int]:
    """Which arrays have other bits after a run with another seed: what does not depend on junk or order has not.

    Parameters
    ----------
    run : callable
        Is called as ``run(*arguments, seed=seed)`` with copies of the arguments.
    arguments : sequence
        Arrays and numbers.
    seeds : iterable of ints
        One run each.
    unwritten : sequence of ints
        Positions of arrays that hold junk at first, other bytes with each seed.

    Returns
    -------
    positions : list of ints
        Of the arrays that differ.
    """
    results: list[list[bytes]] = []
    arrays = [i for i, argument in enumerate(arguments) if isinstance(argument, np.ndarray)]
    for seed in seeds:
        given = copy.deepcopy(list(arguments))
        for i in unwritten:
            given[i].reshape(-1).view(np.uint8)[...] = np.random.default_rng([seed, i]).integers(
                0, 256, given[i].nbytes, np.uint8
            )
        run(*given, seed=seed)
        results.append([given[i].tobytes() for i in arrays])
    return [i for k, i in enumerate(arrays) if len({result[k] for result in results}) > 1]
