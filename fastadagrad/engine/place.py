"""Where the arrays of an optimizer lie, in the host's memory or in a GPU's, and what the engine asks of that place.

This is the one module that knows which places there are. Each place is a package of its own, `host` or `device`, with a
module `place` that fulfils `Place`. The package is imported when the first array that lies in that memory is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..support.asking import asking
from ..support.memory_maps import refuse_closed
from .options import Settings

_PLAIN = frozenset({float, int, bool})  # types of numbers that have no memory to lend
Report = Callable[[str, Any, Any], None]  # (name, gradient, parameter): a gradient is about to be converted


class Reader(Protocol):
    """Access to the rows of one parameter by their numbers."""

    def catch_up(self, what: str, indices: Any, lagging: Any, threads: int) -> Any:
        """Catch rows up; returns the indices, checked. TypeError, ValueError or IndexError if they are no rows."""

    def read(self, indices: Any) -> Any:
        """Copies of rows, given indices that have been checked."""


class Staging(Protocol):
    """Arrays in the host's memory, through which processes send parameters and gradients that lie elsewhere.

    Of the host's own parameters they are these parameters, and nothing is copied.
    """

    @property
    def arrays(self) -> Sequence[NDArray[Any]]:
        """One of the shape and dtype of each parameter; a gradient is in it until it has been sent."""

    def gradients(self, gradients: Mapping[int, Any]) -> Mapping[int, Any]:
        """Dense gradients of whole parameters, by position, that have been checked, as arrays of the host."""

    def reserve(self, parts: Sequence[Any]) -> None:
        """Take memory for the first turn of `sums`, given what they are for, so that no step fails for want of it."""

    def memory(self, size: int, dtype: Any) -> NDArray[Any]:
        """Memory for sums of gradients, which is not set."""

    def sums(self, turn: int, sums: Mapping[int, NDArray[Any]]) -> Mapping[int, Any]:
        """Arrays of the host, by position, brought to the memory of the parameters, where the next ones replace them.

        What is brought in one `turn` of a step stays there while another one is used.
        """

    def straight(self, position: int) -> Any:
        """The elements of a parameter, once all work on them is done, for messages from and to its own memory.

        None if its messages go through `arrays`.
        """

    def fetch(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        """Copy the rows ``[cut[rank], cut[rank + 1])`` of parameters to `arrays`, given the cut of each."""

    def store(self, positions: Sequence[int], cuts: Sequence[Sequence[int]], rank: int) -> None:
        """Copy all other rows from `arrays` to the parameters."""

    def settle(self) -> None:
        """Wait until all that has been copied is there."""


class Place(Protocol):
    """The memory that arrays lie in, and what computes there."""

    @property
    def is_numpys(self) -> bool:
        """Whether NumPy computes on arrays there, and so autograd, which is made on top of it."""

    @property
    def backend(self) -> Any:
        """The GPU; None for the host."""

    @property
    def takes_storages(self) -> bool:
        """Whether slots may lie there in another dtype than their parameter."""

    @property
    def notes_infinity_by_checks(self) -> bool:
        """Whether it is the check of gradients that finds accumulators which have become infinite, and not the step."""

    # Arrays

    def allocate(self, like: Sequence[Any], shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any]) -> list[Any]:
        """Zeros of the given shapes and dtypes, in one aligned block of memory of the kind that `like` has."""

    def placed(self, values: NDArray[Any]) -> Any:
        """Copy values from the host to this place."""

    def copy(self, array: Any) -> Any:
        """A copy in the same memory."""

    def to_host(self, array: Any) -> Any:
        """The values as a NumPy array: a copy, or the array itself if it is one."""

    def read_only(self, array: Any) -> Any:
        """A view of the same memory that cannot be written."""

    def first(self, array: Any) -> Any:
        """The first element, as a number."""

    def part(self, array: Any, start: int, stop: int) -> Any:
        """A view of the rows ``[start, stop)``; an array without dimensions has one."""

    def staging(self, arrays: Sequence[Any], straight: Collection[int] = ()) -> Staging:
        """What brings the messages of several processes to arrays, of which those at some positions need no copies."""

    # Gradients

    def brought_into_form(self, name: str, gradient: Any, parameter: Any, report: Report) -> Any:
        """A dense gradient converted to the dtype and C order of its parameter, if it lacks nothing else."""

    def check_dense(self, what: str, it: str, array: Any, parameter: Any) -> None:
        """Raise TypeError or ValueError unless an array is like a parameter.

        `what` names the array in the message, and `it` in the code that the message advises.
        """

    def check_sparse(self, name: str, gradient: Any) -> None:
        """Raise TypeError for a kind of sparse gradient that is not known there."""

    def is_finite(self, name: str, array: Any, parameter: Any) -> bool:
        """Whether an array that `check_dense` has let pass holds neither NaN nor infinity."""

    def squared_norm(self, name: str, gradient: Any, parameter: Any) -> float:
        """The sum of squares of a gradient of any kind."""

    # Steps

    @property
    def takes_rates(self) -> bool:
        """Whether a learning rate can be set by writing into the scalars of units, which drivers read in each step."""

    def threads(self, wanted: int | None) -> int:
        """How many threads a step takes: all that there are, or `wanted` if that is fewer."""

    def bucket(self, state: Any, members: dict[int, Settings], kind: str, lean: bool, watchful: bool) -> Any:
        """The `Unit` that steps parameters with dense gradients together."""

    def row_unit(
        self,
        state: Any,
        position: int,
        settings: Settings,
        kind: str,
        lean: bool,
        *,
        by_element: bool,
        ordered: bool,
        lags: dict[int, Any] | None,
        watchful: bool,
    ) -> Any:
        """The `Unit` that steps one parameter in the rows that a sparse gradient names.

        Parameters
        ----------
        by_element : bool
            Step the elements that a sparse matrix stores, not whole rows.
        ordered : bool
            Sort the rows in any case: squares of the gradient are summed, in ascending order of rows.
        lags : dict, optional
            Given if rows that a gradient does not name move: the notes of how far they lag behind, by position.
        watchful : bool
            Accumulators that become infinite are to be noticed.
        """

    def dense_form(self, name: str, parameter: Any) -> Any:
        """An object that makes sparse gradients of a parameter dense.

        It has the methods ``write(gradient, guard, threads)`` and ``clear()``.
        """

    def reader(self, params: Any, position: int) -> Reader:
        """Access to the rows of one parameter."""


def array_of(what: str, owner: Any) -> Any:
    """The array of an object as the engine knows arrays; None if it is no array.

    That is NumPy's or, of an array of another library, a view of its memory: NumPy's for the host's, and a description
    of it for that of a GPU. Raises TypeError, which names `what`, for an array that cannot be read.
    """
    if owner is None:
        return None
    if type(owner) is np.ndarray:
        if owner.base is not None:
            refuse_closed(what, owner)
        return owner
    from ..device.arrays import as_device_array
    from ..host.foreign import as_host_array

    with asking(what):
        if isinstance(owner, np.ndarray):
            refuse_closed(what, owner)
            return owner
        try:
            found = as_device_array(owner)
            return as_host_array(owner) if found is None else found
        except TypeError as error:
            raise TypeError(f"{what}: {error}") from None


def plain(what: str, value: Any) -> Any:
    """Nested lists for NumPy, in which arrays of other libraries are NumPy's views of their memory, as `array_of` says.

    NumPy would ask objects in them for their memory, and believe whatever they answer.
    """
    if not isinstance(value, list | tuple) or all(type(member) in _PLAIN for member in value):
        return value
    return [member if type(member) in _PLAIN else _plain_member(what, member) for member in value]


def _plain_member(what: str, member: Any) -> Any:
    found = None if isinstance(member, list | tuple) else array_of(what, member)
    return plain(what, member) if found is None else found


def readable(what: str, value: Any) -> Any:
    """A value of which NumPy may be asked to make an array, as it does not believe what is not so.

    Nested lists become what `plain` makes of them, and an object that says where its memory lies becomes a view of it,
    if there is memory. All else is returned as it is.

    Raises
    ------
    TypeError, ValueError
        If there is no such memory, or no more; the message names `what`.
    """
    with asking(what):
        if isinstance(value, list | tuple):
            return plain(what, value)
        if isinstance(value, np.ndarray):
            refuse_closed(what, value)
            return value
        if value is None or getattr(value, "__array_interface__", None) is None or isinstance(value, np.generic):
            return value
    found = array_of(what, value)
    return value if found is None else found


def place_of(arrays: Mapping[str, Any]) -> Place:
    """The place of all arrays, which have names; ValueError if they are in several."""
    names = {isinstance(array, np.ndarray): name for name, array in arrays.items()}
    if len(names) == 2:
        raise ValueError(
            f"parameter {names[False]!r} is a device array and {names[True]!r} a host array: parameters of one "
            "optimizer must be in one place; move one of them, or make an optimizer for each"
        )
    if True in names:
        from ..host.place import HOST

        return HOST
    from ..device.place import place_on_device

    return place_on_device(arrays)
