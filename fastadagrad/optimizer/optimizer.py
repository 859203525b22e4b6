"""The optimizer facade, modelled on downhill's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from ..data.dataset import Dataset, as_dataset, limited, sample_count
from ..engine.options import Hyper, hyper_names, refuse_unknown
from ..support.attributes import MAKING, OF_DATASETS, RUNNING, Misplaced, places_for, refuse_misplaced
from ..support.checks import whole_number
from ..support.interrupts import whole
from ..support.log import logger
from . import assignment, checkpoint
from .history import Best, Epoch, Ledger, Monitored
from .keeping import Keeper, Loaded
from .monitors import Monitor, Monitors, WeightedMean
from .objective import Gradient, Objective
from .run import Run, Touches
from .updates import Pair, Updates

TAKEN_BY_A_RUN = "iterate and minimize take it"
TAKEN_WHEN_MADE = "it is given when the optimizer is made"
TAKEN_BY_DATASETS = "a Dataset takes it, fastadagrad.Dataset(..., {}=...)"

OWN_ATTRIBUTES = ("engine", "ledger", "conduct")


def _check_limits(least: int, **limits: Any) -> None:
    for name, limit in limits.items():
        if limit is not None:
            whole_number(name, limit, least)


class Optimizer(Keeper):
    """What all methods share; `ADAGRAD` says what the arguments are."""

    making: ClassVar[tuple[str, ...]] = MAKING  # arguments, beside the loss, the parameters and hyperparameters
    _places: ClassVar[Mapping[str, str]] = {}  # of keywords that are no attributes

    def __init__(
        self,
        loss: Callable[..., Any] | None = None,
        params: Any = None,
        inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (),
        monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False,
        *,
        gradient: Gradient = None,
        **hyper: Unpack[Hyper],
    ) -> None:
        if not hasattr(self, "rule"):
            raise TypeError(
                f"{type(self).__name__} is what all methods share, and no method itself: use a method's class, "
                "fastadagrad.build(name, ...), or fastadagrad.register for a rule of your own"
            )
        known = [*hyper_names(self.rule), "loss", "params", *self.making]
        refuse_unknown(hyper, known, self.rule.name.upper(), elsewhere=dict.fromkeys(RUNNING, TAKEN_BY_A_RUN))
        users = set(vars(self))
        super().__init__(params, hyper)
        self._monitors = Monitors(monitors, self._params, monitor_gradients)
        self._objective = None if loss is None else Objective(loss, gradient, self._params, inputs)
        self._updates = Updates(updates)
        self._run: Run | None = None  # under way
        self._made: Run | None = None  # by the latest call of iterate
        self._loaded: Loaded | None = None
        self._datasets: dict[str, Dataset] = {}
        self._touches: Touches | None = None  # of the run under way
        self._told_of_flushing = False
        self._own_names = frozenset(vars(self)) - users | {"_own_names"}

    def _make(self, **arguments: Any) -> None:
        Optimizer.__init__(self, **arguments)

    def _made_of(self) -> dict[str, Any]:
        of_loss = {} if self._objective is None else self._objective.made_of()
        return {**of_loss, **self._monitors.made_of(), "params": self._params.given, "updates": self._updates.made_of()}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in vars(cls):
            making, running = ("loss", *cls.making), ("train", "valid", *RUNNING)
            cls._places = places_for(cls.__name__, hyper_names(cls.rule), making, running)
            for name, place in cls._places.items():
                if not hasattr(cls, name):
                    setattr(cls, name, Misplaced(name, place))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "hyper":
            raise AttributeError(
                "hyper cannot be replaced: set what it holds, opt.hyper.learning_rate = 0.1, or several at once, "
                "opt.hyper.update(learning_rate=0.1, l1=1e-5)"
            )
        if not (name.startswith("_") or name in OWN_ATTRIBUTES or hasattr(type(self), name)):
            refuse_misplaced(self, name, self._places)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if name not in self._places or hasattr(self, name))

    @property
    def best(self) -> Best | None:
        """The best validation so far."""
        return self.ledger.best

    @property
    def history(self) -> list[Epoch]:
        """Every epoch so far."""
        return self.ledger.history

    @property
    def stopped_because(self) -> str | None:
        """Why the last iteration ended; None before one has."""
        return self.ledger.stopped_because

    def _note_displacement(self) -> None:
        """Parameters have been set from outside."""
        if not self._unused:
            self.engine.displaced = self.engine.displaced | self.engine.placed(range(len(self._params)))

    def reset(self) -> None:
        """Forget accumulators, velocities, counts, history and best; the parameters stay as they are."""
        self._give_up_unfinished_run()
        with whole():
            self.engine.flush()
            self.engine.reset()
            self.ledger = Ledger()

    def set_params(self, targets: Any = None) -> None:
        """Set the parameters, in place.

        Parameters
        ----------
        targets : None, 'best', or arrays in the structure of params, or a list of them in the order of params
            Nested lists will do. None and 'best' take the parameters of the best validation so far. A method that sets
            parameters by its slots (dual averaging, FTRL, COCOB) goes back to what these say with its next step; see
            `reset`.

        Raises
        ------
        RuntimeError
            If there has been no validation yet.
        ValueError
            If a shape does not fit; nothing is changed then.
        """
        if isinstance(targets, str) and targets != "best":
            raise ValueError(f"targets must be None, 'best' or arrays in the structure of params, not {targets!r}")
        if targets is None or isinstance(targets, str):
            if not self.ledger.best_arrays:
                raise RuntimeError("there are no best parameters before the first validation: run iterate or minimize")
            values: Sequence[Any] = self.ledger.best_arrays
        else:
            values = assignment.values_of(self._params, targets)
        assignment.check(self._params, values)
        self._params.refuse_moved()
        self.flush()  # targets may be views of the parameters
        copies = assignment.copies(self._params, values)
        with whole():
            self.engine.changes += 1
            for array, value in zip(self._params.arrays, copies, strict=True):
                array[...] = value
            self._note_displacement()

    @property
    def objective(self) -> Objective:
        """The loss, or RuntimeError if the optimizer was made without one."""
        if self._objective is None:
            raise RuntimeError("this optimizer has no loss: pass loss= when making it, or call step(gradients)")
        return self._objective

    def _measure(self, arguments: tuple[Any, ...], gradients_needed: bool) -> tuple[Monitored, list[Any] | None]:
        gradients = None
        if gradients_needed:
            loss, gradients = self.objective.value_and_gradients(arguments, self.engine.frozen)
        else:
            loss = self.objective.value(arguments)
        return self._monitors.measure(loss, gradients, arguments), gradients

    def evaluate(self, dataset: Any) -> Monitored:
        """Mean of each monitor over a dataset, weighted by sample; nothing is updated.

        Parameters
        ----------
        dataset : Dataset, arrays, callable, iterable of batches, or None for a loss without data
            Read in storage order: a Dataset up to its `iteration_size`, arrays and iterables to their end.

        Returns
        -------
        dict of str to float
            'loss' and the monitors.
        """
        found = self.means_over(as_dataset(dataset))
        assert found is not None
        return found

    def means_over(self, data: Dataset | None, stop: Callable[[], bool] | None = None) -> Monitored | None:
        """Means of the monitors; None if `stop`, which is asked before each batch, is given and tells to."""
        self.flush()
        mean = WeightedMean()
        for batch in [()] if data is None else data.batches():
            if stop is not None and stop():
                return None
            values, _ = self._measure(self.objective.arguments(batch), self._monitors.of_gradients)
            mean.add(values, 1 if data is None else sample_count(batch, data.axis))
        return mean.means()

    def train_on(self, arguments: tuple[Any, ...]) -> Monitored:
        """Monitors on one batch and, if its loss is finite, one step."""
        self._catch_up_for(arguments)
        values, gradients = self._measure(arguments, gradients_needed=True)
        if gradients is not None and np.isfinite(values["loss"]):
            self._step(gradients, self.products(arguments))
            if self.engine.infinite:
                self.engine.warn_of_infinity(stacklevel=2)
        return values

    def products(self, arguments: tuple[Any, ...]) -> Sequence[Any]:
        """Hessian-vector products on a batch, one a parameter, for a method that goes by them; else none."""
        return ()

    def _catch_up_for(self, arguments: tuple[Any, ...]) -> None:
        """Bring up to date what the loss and the monitors are going to read."""
        if self._touches is not None:
            touched = self._touches(*arguments)
            if not isinstance(touched, Mapping):
                raise TypeError(f"touches must return a dict name -> indices, not {type(touched).__name__}")
            for name, indices in touched.items():
                self.engine.recall(self._position_of(name), f"touches: indices of {name!r}", indices)
        if self.engine.behind and (self._touches is None or self._monitors.custom):
            self.flush()
            if not self._told_of_flushing:
                self._told_of_flushing = True
                logger.info(
                    "all rows are caught up before each loss: iterate(touches=...) tells which ones it reads (monitors "
                    "of your own may read any)"
                )

    def run_updates(self, arguments: tuple[Any, ...]) -> None:
        """Carry out the user's own updates, after a step."""
        if self._updates:
            self.flush()
            self._updates.carry_out(self._params.given, arguments)

    def iterate(
        self,
        train: Any = None,
        valid: Any = None,
        max_updates: int | None = None,
        *,
        max_epochs: int | None = None,
        batch_size: int = 32,
        train_batches: int | None = None,
        valid_batches: int | None = None,
        rng: Any = None,
        progress: bool = False,
        touches: Touches | None = None,
        **hyper: Unpack[Hyper],
    ) -> Iterator[tuple[Monitored, Monitored]]:
        """Optimize, yielding a pair of monitor dicts after each epoch.

        The first validation comes before the first update, then one every ``validate_every`` epochs; the latest is
        yielded in between. It stops when ``patience`` + 1 validations in a row have not improved on the best, or at
        ``max_updates`` or ``max_epochs``. At the end, what has changed since the last validation is validated once
        more, and the parameters of the best validation are restored. So it is when the loop is left early (``break``,
        ``next``, an exception in its body, ...) and its iterator closed, unless they have been changed since from
        outside: stepped, set, loaded or reset.

        Parameters
        ----------
        train, valid : Dataset, arrays, callable, iterable of batches, or None
            None for `train` is for a loss without data, an epoch of which is one update. `valid` defaults to `train`.
        max_updates, max_epochs : int, optional
            Limits of this run; the first may end it in the middle of an epoch.
        batch_size, rng
            For the Datasets that are made of what is no Dataset yet: samples a batch; order.
        train_batches, valid_batches
            Batches a training epoch, and the most that a validation takes, of whatever data; by default a Dataset's
            `iteration_size`, or one pass (of a callable its length, or 100). Validation on `train` takes no more
            than a training epoch does. What has no end needs them. With `train_batches`, an epoch goes on where the one
            before stopped, but the next run begins where this one did; a Dataset with an `iteration_size` goes on.
        progress : bool
            Show a progress bar (needs the extra ``fit``).
        touches : callable, optional
            ``touches(*batch)`` returns a dict, parameter name -> indices of the rows that the loss will read: where
            rows lag behind (`lazy`), only those are brought up to date before each call. Without it all are.
        **hyper
            Hyperparameters for this run only (but `accumulator` and `initial_accumulator_value`, which shape the
            state, hold for good and can be given before the first step only).

        Yields
        ------
        train_monitors, valid_monitors : dict of str to float
        """
        known = [*hyper_names(self.rule), *RUNNING]
        elsewhere = {name: TAKEN_BY_DATASETS.format(name) for name in OF_DATASETS}
        refuse_unknown(hyper, known, "iterate", elsewhere=elsewhere | dict.fromkeys(self.making, TAKEN_WHEN_MADE))
        _check_limits(0, max_updates=max_updates, max_epochs=max_epochs)
        _check_limits(1, train_batches=train_batches, valid_batches=valid_batches)
        if touches is not None and not callable(touches):
            raise TypeError(f"touches must be callable as touches(*batch), not {type(touches).__name__}")
        self.objective  # noqa: B018  raises if there is none
        settings = self._settings(*self._divided(hyper))
        self.engine.check(*settings, self._unused)
        train = limited(as_dataset(train, batch_size=batch_size, rng=rng), train_batches)
        valid = train if valid is None else as_dataset(valid, batch_size=batch_size)
        valid = limited(valid, valid_batches)
        self._made = Run(self, train, valid, max_updates, max_epochs, hyper, touches)
        if progress:
            from ..support.progress import shown

            return self._made.epochs(lambda epochs: shown(epochs, max_epochs))
        return self._made.epochs()

    def minimize(self, *args: Any, **kwargs: Any) -> tuple[Monitored | None, Monitored]:
        """Exhaust `iterate`, which takes the same arguments.

        Returns
        -------
        train_monitors : dict of str to float
            Of the last epoch; None if there was none.
        valid_monitors : dict of str to float
            Of the parameters that it leaves.
        """
        epochs = self.iterate(*args, **kwargs)
        run = self._made
        assert run is not None
        with run.interrupts.held():  # also between epochs
            for _ in epochs:
                pass
        return run.last_train, dict(self.best.monitors) if run.has_best and self.best else run.last_valid

    def _end_unfinished_run(self) -> None:
        if self._run is not None:
            self._run.close()

    def _give_up_unfinished_run(self) -> None:
        """End it without validating or restoring what is about to be replaced."""
        self.engine.changes += 1
        self._end_unfinished_run()

    def begin_run(self, run: Run) -> None:
        """Make `run` the one under way, after the one that is; go on where a loaded file left off."""
        self._end_unfinished_run()
        loaded = self._run_to_resume
        if loaded is not None:
            unfinished = "progress" in loaded
            checkpoint.reposition(run.datasets, loaded["datasets"], strict=unfinished)
            if unfinished:
                self._tell_of_hyper_of_run(loaded.get("hyper", {}), run.hyper)
                run.resume(loaded)
        self._configure(*self._divided(run.hyper))
        self._loaded, self._run, self._datasets, self._touches = None, run, run.datasets, run.touches
        self.ledger.stopped_because = None

    def is_under_way(self, run: Run) -> bool:
        """Whether that run is the one that has begun and not ended."""
        return self._run is run

    def end_run(self, run: Run, reason: str, restores: bool, outcome: str) -> None:
        """Restore the best parameters if that is to be, and the hyperparameters from before the run."""
        if self._run is not run:
            return
        with whole():
            self._run = self._touches = None
            self.flush()
            self.ledger.stopped_because = reason
            if restores:
                self.ledger.restore_best(self._params.arrays)
                self._note_displacement()
            for data in run.datasets.values():
                data.end_epoch()
            self._configure(self._hyper, {})
        logger.info("iteration ended (%s): %s", reason, outcome)

    def remember_best(self, loss: float, monitors: Monitored, epoch: int) -> None:
        """Keep a copy of the parameters as the best."""
        self._params.refuse_moved()
        self.flush()
        with whole():
            self.ledger.remember_best(self._params, loss, monitors, epoch)
