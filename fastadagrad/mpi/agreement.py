"""What processes agree on: whether a step is made, and sums over whole parameters."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ..engine.comm import in_order
from ..support.array_file import Damaged
from .processes import Lockstep

AGREED = "raised in all processes"  # attribute of errors that are

Result = TypeVar("Result")
Told = TypeVar("Told")


class _Refusal(NamedTuple):
    """An error of one process, as the others are told of it."""

    kind: str
    message: str
    number: int | None  # of an error of the system


class Agreement:
    """A `Comm` of processes; see `fastadagrad.engine.comm`."""

    def __init__(self, processes: Lockstep) -> None:
        self._processes = processes

    def agreed(self, check: Callable[[], bool]) -> bool:
        return all(self._tried("a step", check, bool)[1])

    def everywhere(self, about: str, function: Callable[[], Result]) -> Result:
        """What a function returns in this process, once it has returned in all; what it raises in one, all raise.

        `about` names the call that this is part of, for the error of processes that make different calls.
        """
        return self._tried(about, function, lambda _: True)[0]

    def by_rank(self, about: str, function: Callable[[], Result]) -> list[Result]:
        """What a function returns in each process, small objects that can be pickled, once it has returned in all."""
        return cast(list[Result], self._tried(about, function, cast(Any, _itself))[1])

    def refuse_others(self, about: str, given: Mapping[str, Any]) -> None:
        """Raise ValueError in all processes, unless they were given the same things, by the words that name these."""
        rank = self._processes.rank
        for other_rank, others in enumerate(self.by_rank(about, lambda: given)):
            for what in [*given, *others]:
                if given.get(what) != others.get(what):
                    raise agreed_on(
                        ValueError(
                            f"all processes must be given the same: {what} is {given.get(what)} in process {rank} and "
                            f"{others.get(what)} in process {other_rank}"
                        )
                    )

    # As the processes that write checkpoints together (see `numbered_files.Processes`)

    @property
    def leads(self) -> bool:
        return self._processes.leads

    def of_leader(self, function: Callable[[], Result]) -> Result:
        found: Result = self.by_rank("a checkpoint", function if self.leads else cast(Any, _nothing))[0]
        return found

    def _tried(
        self, about: str, function: Callable[[], Result], told: Callable[[Result], Told]
    ) -> tuple[Result, list[Told]]:
        """What a function returns here, and what `told` makes of its result in each process."""
        found, error = None, None
        try:
            found = function()
        except BaseException as raised:
            error = raised
        outcomes = self._processes.all_of(about, told(cast(Result, found)) if error is None else _refusal(error))
        refusals = [(rank, outcome) for rank, outcome in enumerate(outcomes) if isinstance(outcome, _Refusal)]
        if not refusals:
            return cast(Result, found), outcomes
        if error is None:
            error = _relayed(*refusals[0])
        raise agreed_on(error)

    def whole_sums(self, parts: Sequence[NDArray[np.float64]]) -> list[float]:
        by_rank = self._processes.all_of("a step", [*parts])
        return [in_order(np.concatenate([of_rank[i] for of_rank in by_rank])) for i in range(len(parts))]


def agreed_on(error: BaseException) -> BaseException:
    """An error that is raised in all processes, which is noted in it."""
    vars(error)[AGREED] = True
    return error


def is_agreed(error: BaseException) -> bool:
    """Whether an error is raised in all processes, so that none waits for another one."""
    return AGREED in vars(error)


def follows_agreed(error: BaseException, handled: BaseException | None = None) -> bool:
    """Whether an error is raised in all processes, or has taken the place of one that is, as Ctrl-C may.

    `handled` is the error that was being handled before the processes began to exchange anything, if there was one.
    """
    each: BaseException | None = error
    while each is not None and each is not handled:
        if is_agreed(each):
            return True
        each = each.__context__
    return False


def _nothing() -> None:
    """Do nothing, while process 0 does something."""


def _itself(value: Result) -> Result:
    return value


def _refusal(error: BaseException) -> _Refusal:
    """An error as the others are told of it: of the nearest class that is Python's own, or that of damaged files."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    number = None
    if isinstance(error, OSError) and type(error.errno) is int:
        number = error.errno
        message = " ".join(str(part) for part in (error.strerror, error.filename) if part)
    if isinstance(error, Damaged):
        return _Refusal(Damaged.__name__, message, None)
    for kind in type(error).__mro__:
        if kind.__module__ == "builtins" and issubclass(kind, Exception) and _takes_a_message(kind):
            return _Refusal(kind.__name__, message, number)
    return _Refusal("RuntimeError", f"{type(error).__name__}: {message}", None)


def _takes_a_message(kind: type[Exception]) -> bool:
    try:
        kind("")
    except TypeError:  # as UnicodeDecodeError does
        return False
    return kind is not Exception


def _relayed(rank: int, refusal: _Refusal) -> BaseException:
    """The error that a process raises because another one has."""
    message = f"in process {rank}: {refusal.message}"
    if refusal.number is not None:
        return OSError(refusal.number, message)
    kind: Any = Damaged if refusal.kind == Damaged.__name__ else getattr(builtins, refusal.kind)
    error: BaseException = kind(message)
    return error
