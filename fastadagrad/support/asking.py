"""Asking objects what they are: they may answer anything, and raise anything."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What a call may raise. All else that an argument raises, as it is asked for its length, its dtype, its items, ..., is
# told as a TypeError. Functions that are given, as a loss, raise what they like.
CONTRACT: tuple[type[BaseException], ...] = (
    TypeError,
    ValueError,
    IndexError,
    FloatingPointError,
    RuntimeError,
    OSError,
    MemoryError,
    ImportError,
    Warning,
)


def refuse_unreadable(what: str, error: Exception) -> None:
    """Raise TypeError for an error of an argument, unless it is of a kind that a call may raise; `what` is its name."""
    if not isinstance(error, CONTRACT):
        raise TypeError(f"{what} cannot be read: {type(error).__name__}: {shown(error)}") from error


@contextmanager
def asking(what: str) -> Iterator[None]:
    """A block that asks an argument what it is.

    >>> with asking("batch_size"):
    ...     {}["a lie"]
    Traceback (most recent call last):
    ...
    TypeError: batch_size cannot be read: KeyError: KeyError('a lie')
    """
    try:
        yield
    except Exception as error:
        refuse_unreadable(what, error)
        raise


def shown(value: Any) -> str:
    """The text of a value for a message, shortened if it is long.

    >>> shown([1.5])
    '[1.5]'
    """
    try:
        return reprlib.repr(value)
    except Exception:  # an int has more digits than Python writes; other objects may raise anything
        return f"an integer of {value.bit_length()} bits" if type(value) is int else f"a {type(value).__name__}"


def whether(name: str, value: Any) -> bool:
    """Whether an argument is true; TypeError if it does not say."""
    with asking(name):
        return bool(value)
