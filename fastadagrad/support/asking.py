"""Asking objects what they are: they may answer anything, and raise anything."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .memory_maps import is_closed, refuse_closed_within

# Errors of arguments, when they are asked for their length, their dtype, their items, ..., that are told as TypeErrors.
# All others go through: a signal's handler may raise anything, anywhere.
UNREADABLE: tuple[type[Exception], ...] = (
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    BufferError,
    EOFError,
    NameError,
    ReferenceError,
    StopIteration,
    SystemError,
)
IN_THE_CONTRACT = IndexError, FloatingPointError  # those of them that a call may raise
OF_ARGUMENTS: tuple[type[Exception], ...] = TypeError, ValueError, RecursionError, *UNREADABLE


def refuse_unreadable(what: str, error: Exception) -> None:
    """Raise TypeError for an error of an argument that a call may not raise; `what` is the argument's name.

    It is for where every step or batch comes by, and where entering the block of `asking` would take too long.
    """
    if isinstance(error, UNREADABLE) and not isinstance(error, IN_THE_CONTRACT):
        raise TypeError(f"{what} cannot be read: {type(error).__name__}: {shown(error)}") from error


@contextmanager
def asking(what: str, *given: Any) -> Iterator[None]:
    """A block that asks an argument what it is.

    If the argument itself is given, too, it is refused if it is, or has, an array in a memory map that has been closed:
    to look at one of its elements would end the process.

    >>> with asking("batch_size"):
    ...     {}["a lie"]
    Traceback (most recent call last):
    ...
    TypeError: batch_size cannot be read: KeyError: KeyError('a lie')
    """
    try:
        refuse_closed_within(what, given)
        yield
    except UNREADABLE as error:
        refuse_unreadable(what, error)
        raise


class _Texts(reprlib.Repr):
    """Texts of objects, also of arrays in memory maps that have been closed, whose elements cannot be read."""

    def repr_ndarray(self, array: Any, level: int) -> str:
        if is_closed(array):
            return f"an array of shape {array.shape} whose memory map has been closed"
        return self.repr_instance(array, level)

    repr_memmap = repr_ndarray


_texts = _Texts()


def shown(value: Any) -> str:
    """The text of a value for a message, shortened if it is long.

    >>> shown([1.5])
    '[1.5]'
    """
    try:
        return _texts.repr(value)
    except OF_ARGUMENTS:  # an int has more digits than Python writes; other objects may raise anything
        return f"an integer of {value.bit_length()} bits" if type(value) is int else f"a {type(value).__name__}"


def path_text(name: str, path: Any, kind: str = "a path") -> str:
    """The text of a path, which is asked for it once; TypeError if it has none, or is no path.

    >>> path_text("out", 3, "the path of a folder")
    Traceback (most recent call last):
    ...
    TypeError: out must be the path of a folder, not 3
    """
    with asking(name, path):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"{name} must be {kind}, not {shown(path)}")
        text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"{name} must be of a string, not of {type(text).__name__}")
    return text


def whether(name: str, value: Any) -> bool:
    """Whether an argument is true; TypeError if it does not say."""
    with asking(name, value):
        return bool(value)
