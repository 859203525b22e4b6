"""Fits by several processes, each of which computes on its share of every batch, and by one, which has all of it.

The processes of a fit are given the same examples, and have the same weights and slots, to the bit. They exchange the
sums of their shares' gradients, and what one of them decides for all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, reduce
from itertools import accumulate
from operator import add
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear import weight_arrays
from ..kernels.linear.rates import Rates, RatesOfSteps
from ..kernels.linear.shares import make_shares
from ..mpi.agreement import Agreement, agreed_on, follows_agreed
from ..mpi.communicator import processes_of
from ..mpi.processes import Lockstep
from ..mpi.processes import Processes as Messengers
from ..support import numbered_files
from ..support.interrupts import Delayed, delayed, whole
from ..support.log import compilation
from .feeds import Feed
from .training import Examples, Scorer, Trainer, longest_row, make_weights

ABOUT = "fit"  # what every exchange of a fit is about, so that a process that fails can tell the others anywhere
Result = TypeVar("Result")
Tell = Callable[[Any], object]


class Alone(numbered_files.Alone):
    """The only process of a fit; `Together` says what the methods do."""

    several = False
    trainer: Callable[..., Trainer] = Trainer
    scorer: Callable[..., Scorer] = Scorer

    def everywhere(self, function: Callable[[], Result]) -> Result:
        return function()

    def refuse_undivided(self, batch_size: int, once: bool) -> None:
        """Do nothing, as nothing is divided."""

    def refuse_others(self, given: Mapping[str, Any]) -> None:
        """Do nothing, as there are no others."""

    def alike(self, feeds: Iterable[Feed]) -> Iterable[Feed]:
        return feeds

    def training(self, patient: bool = False) -> AbstractContextManager[object]:
        return nullcontext()

    def told(self, tell: Result, answers: bool = False) -> Result:
        return tell

    def answer_signals(self) -> None:
        """Do nothing, as signals are answered when they come."""


ALONE = Alone()


class Together:
    """Several processes of a fit, all of which call the same methods in the same order.

    What a process raises elsewhere, it tells the others as the fit ends (see `among`).
    """

    several = True

    def __init__(self, processes: Messengers) -> None:
        self.messages = Lockstep(processes)
        self._agreement = Agreement(self.messages)
        self._signals, self._patient = Delayed(), False

    @property
    def leads(self) -> bool:
        """Whether this is process 0, which writes files and shows progress."""
        return self.messages.leads

    def everywhere(self, function: Callable[[], Result]) -> Result:
        """What a function returns here, once it has returned in all processes; what it raises in one, all raise."""
        done = _done(function)
        with whole():
            return self._agreement.everywhere(ABOUT, done)

    def of_leader(self, function: Callable[[], Result]) -> Result:
        """What a function returns in process 0; what it raises there, all raise."""
        done: Callable[[], Any] = _done(function) if self.leads else _nothing
        with whole():
            found: Result = self._agreement.by_rank(ABOUT, done)[0]
        return found

    def refuse_undivided(self, batch_size: int, once: bool) -> None:
        """Raise ValueError for batches of one example, and for examples that can be read `once` only."""
        if batch_size == 1:
            raise ValueError(
                f"batch_size is 1, and {self.messages.size} processes (comm=) divide each batch among them: give a "
                "larger one, as batch_size=1024, or leave out comm"
            )
        if once:
            raise ValueError("X can be read once only, and each process (comm=) reads all of it: give a file")

    def refuse_others(self, given: Mapping[str, Any]) -> None:
        """Raise ValueError in all processes, unless they were given the same things, by the words that name these."""
        with whole():
            self._agreement.refuse_others(ABOUT, given)

    def alike(self, feeds: Iterable[Feed]) -> Iterator[Feed]:
        """The same buffers; ValueError in all processes, unless all have as many, of as many visits and values."""
        about = "the next part of X, by its visits and values,"
        for feed in feeds:
            self.refuse_others({about: [len(feed.order), feed.examples.values.size]})
            yield feed
        self.refuse_others({about: None})

    # While training, within `training`

    def trainer(self, *examples: Any, **how: Any) -> Trainer:
        """A trainer of the fit itself; other trainers are each process's own."""
        return DividedTrainer(*examples, **how, processes=self)

    def scorer(self, *targets: Any) -> Scorer:
        """A scorer of examples for validation."""
        return DividedScorer(*targets, processes=self)

    @contextmanager
    def training(self, patient: bool = False) -> Iterator[None]:
        """A block of training, in which signals wait until all processes have made the same step.

        If it is `patient`, they wait until the program says so, by `answer_signals`.
        """
        self._patient = patient
        with delayed() as self._signals:
            yield
            self.answer_signals()

    def told(self, tell: Tell | None, answers: bool = False) -> Tell:
        """A function of each process's own, or none, that is told something; what it raises in one, all raise there.

        Signals may be answered then, too.
        """

        def told(what: Any) -> None:
            if tell is not None:
                tell(what)
            if answers:
                self._signals.deliver()

        return lambda what: self._interruptible(partial(told, what))

    def by_rank(self, function: Callable[[], Any]) -> list[tuple[Any, ...]]:
        """What a function returns in each process, and last whether signals are to be answered there."""
        return self._agreement.by_rank(ABOUT, lambda: (*function(), bool(self._signals) and not self._patient))

    def answer_signals(self) -> None:
        """Call the handlers of signals that have come to any process; one that interrupts the training ends all."""
        self._interruptible(self._signals.deliver)

    def _interruptible(self, function: Callable[[], object]) -> None:
        interruption: KeyboardInterrupt | None = None

        def called() -> bool:
            nonlocal interruption
            try:
                function()
            except KeyboardInterrupt as raised:
                interruption = raised
            return interruption is not None

        by_rank = self._agreement.by_rank(ABOUT, called)
        if any(by_rank):
            raise agreed_on(interruption or KeyboardInterrupt(f"in process {by_rank.index(True)}"))

    # Arrays

    def share_of(self, count: int) -> slice:
        """The part of this process, of so many things in a row."""
        bounds = self.bounds_of(count)
        return slice(bounds[self.messages.rank], bounds[self.messages.rank + 1])

    def bounds_of(self, count: int) -> list[int]:
        """Where the processes' parts of so many things in a row begin and end."""
        return [rank * count // self.messages.size for rank in range(self.messages.size + 1)]

    def joined(self, counts: list[int], own: NDArray[Any]) -> NDArray[Any]:
        """The arrays of all processes one after the other, which have so many rows."""
        bounds = [0, *accumulate(counts)]
        found = np.empty((bounds[-1], *own.shape[1:]), own.dtype)
        found[bounds[self.messages.rank] : bounds[self.messages.rank + 1]] = own
        self.messages.complete(found, bounds)()
        return found

    def add_up(self, array: NDArray[Any]) -> None:
        """Make an array in all processes the sum of theirs, in their order; each adds a part of the rows up."""
        bounds, share = self.bounds_of(len(array)), self.share_of(len(array))
        own = array[share]
        parts = self.messages.exchange(array, bounds, [len(own)] * self.messages.size)
        first, *others = parts.reshape(self.messages.size, *own.shape)
        own[...] = first
        with np.errstate(all="ignore"):
            for part in others:
                own += part
        self.messages.complete(array, bounds)()


Processes = Alone | Together


@contextmanager
def among(comm: Any) -> Iterator[Processes]:
    """The processes of a communicator, as those of a fit; what the block raises in one process, it raises in all.

    Raises
    ------
    TypeError
        If it is no communicator.
    """
    messengers = None if comm is None else processes_of(comm)
    if messengers is None:
        yield ALONE
        return
    found, handled = Together(messengers), sys.exc_info()[1]
    try:
        yield found
    except BaseException as error:
        if follows_agreed(error, handled):
            raise
        found.everywhere(partial(_raise, error))
    else:
        found.everywhere(_nothing)


class DividedTrainer(Trainer):
    """A trainer that computes the gradient of its share of each batch, and steps with the sum of all shares'."""

    def __init__(self, examples: Examples, settings: Any, *, processes: Together, **how: Any) -> None:
        self._processes = processes
        super().__init__(examples, settings, **how)
        self._make_room()

    def feed(self, examples: Examples) -> None:
        super().feed(examples)
        self._make_room()

    def _make_room(self) -> None:
        """Make arrays for what is taken out of the gradient of a share."""
        share = -(-self.batch_size // self._processes.messages.size)
        columns = 0 if self._way.sweep else min(len(self.weights.p), share * longest_row(self.examples))
        self._columns = np.empty(columns + 1, np.uint32)  # of the share's gradient, and of the intercept
        self._sums = np.empty((columns + 1, *self.weights.p.shape[1:]), self.weights.p.dtype)

    def _make_loop(self, *variant: Any, implicit: bool, **options: Any) -> Any:
        self._parts = make_shares(*variant, **options)
        return self._parts.score

    def _compile(self) -> None:
        """Call each of the compiled parts, with weights of their own that are thrown away."""
        settings, outputs, dtype = self.settings, self.targets.outputs, self.weights.p.dtype
        weights = make_weights(self._layout, 2, outputs, settings, dtype)
        intercept = make_weights("dense", 1, outputs, settings, dtype)
        work = weight_arrays.make_work(weights, 0, online=False, exact=self._way.counts)
        nothing, rates, parts = np.arange(0), self._scalars.of(0, 1), self._parts
        columns, sums = np.empty(1, np.uint32), np.empty_like(intercept.p)
        with compilation(parts.step, "the training loop"):
            parts.score(0, 1, self.targets.chosen, self.examples, nothing, weights, intercept, rates, work)
            if self._way.sweep:
                parts.sweep(0, weights, intercept, rates, work)
            else:
                parts.take(self.examples, nothing, weights, columns, sums, work)
                parts.step(0, columns, sums, weights, intercept, rates, work)
            parts.end(1, weights, rates, work)

    def _call(self, order: NDArray[np.int64]) -> float:
        size = self.batch_size
        rates = self._scalars.of(self._steps, -(-len(order) // size))
        total, done = 0.0, 0
        try:
            for start in range(0, len(order), size):
                loss, signals = self._step(order[start : start + size], done, rates)
                total += loss
                done += 1
                if signals:
                    self._processes.answer_signals()
        finally:
            self._parts.end(done, self.weights, rates, self._work)
            self._steps += done
        return total

    def _step(self, batch: NDArray[np.int64], now: int, rates: Rates | RatesOfSteps) -> tuple[float, bool]:
        """Step with a batch; the sum of its examples' losses, and whether signals wait in a process."""
        by_rank = self._processes.by_rank(partial(self._score, batch, now, rates))
        losses, counts, signals = map(list, zip(*by_rank, strict=True))
        arrays = self.weights, self.intercept, rates, self._work
        if self._way.sweep:
            self._add_up_gradients()
            self._parts.sweep(now, *arrays)
        else:
            own = counts[self._processes.messages.rank]
            columns, sums = (self._processes.joined(counts, each[:own]) for each in (self._columns, self._sums))
            self._parts.step(now, columns, sums, *arrays)
        return reduce(add, losses, 0.0), any(signals)  # in their order, as `sum` does not add in later Pythons

    def _score(self, batch: NDArray[np.int64], now: int, rates: Rates | RatesOfSteps) -> tuple[float, int]:
        """Form the gradient of this process's share; the sum of its losses, and the number of its columns."""
        share, loss = batch[self._processes.share_of(len(batch))], self.targets.chosen
        arrays = self.weights, self.intercept, rates, self._work
        found = float(self._parts.score(now, len(batch), loss, self.examples, share, *arrays))
        if self._way.sweep:
            return found, len(self.weights.p)
        taken = self._parts.take(self.examples, share, self.weights, self._columns, self._sums, self._work)
        return found, int(taken)

    def _add_up_gradients(self) -> None:
        """Make the gradients of all weights, and of the intercept, the sums of all processes'."""
        of_weights, of_intercept = self._work.gradient, self._work.intercept_gradient
        both = np.concatenate([of_weights, of_intercept])
        self._processes.add_up(both)
        of_weights[...], of_intercept[...] = both[:-1], both[-1:]


class DividedScorer(Scorer):
    """A scorer that computes scores of its share of the examples; process 0 judges those of all."""

    def __init__(self, *targets: Any, processes: Together) -> None:
        super().__init__(*targets)
        self._processes = processes

    def scores(self, examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        count = len(examples.labels)
        rows = np.arange(count)[self._processes.share_of(count)]
        out = self._processes.everywhere(partial(self._scores_of, rows, examples, p, b))
        self._processes.messages.complete(out, self._processes.bounds_of(count))()
        return out

    def judged(self, examples: Examples, p: NDArray[Any], b: NDArray[Any]) -> tuple[float, dict[str, float]]:
        scores = self.scores(examples, p, b)
        return self._processes.of_leader(partial(self._judged_by, scores, examples))


def _done(function: Callable[[], Result]) -> Callable[[], Result]:
    """A function that returns, or raises, what another one has returned or raised."""
    try:
        found = function()
    except BaseException as error:
        return partial(_raise, error)
    return lambda: found


def _raise(error: BaseException) -> NoReturn:
    raise error


def _nothing() -> None:
    """Do nothing, while another process does something."""
