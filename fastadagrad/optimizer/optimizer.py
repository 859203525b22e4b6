"""The optimizer facade, modelled on downhill's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from ..data.dataset import as_dataset, limited
from ..engine.options import Hyper, hyper_names, refuse_unknown
from ..engine.parameters import Parameters
from ..support.attributes import MAKING, OF_DATASETS, RUNNING, Misplaced, places_for, refuse_misplaced
from ..support.checks import whole_number
from ..support.interrupts import whole
from . import assignment
from .history import Best, Epoch, Ledger, Monitored
from .keeping import Keeper
from .monitors import Monitor, Monitors
from .objective import Gradient, Objective
from .run import Run, Touches
from .session import Session
from .updates import Pair, Updates

TAKEN_BY_A_RUN = "iterate and minimize take it"
TAKEN_WHEN_MADE = "it is given when the optimizer is made"
TAKEN_BY_DATASETS = "a Dataset takes it, fastadagrad.Dataset(..., {}=...)"


def _check_limits(least: int, **limits: Any) -> None:
    for name, limit in limits.items():
        if limit is not None:
            whole_number(name, limit, least)


class Optimizer(Keeper):
    """What all methods share; `ADAGRAD` says what the arguments are."""

    _making: ClassVar[tuple[str, ...]] = MAKING  # arguments, beside the loss, the parameters and hyperparameters
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
        known = [*hyper_names(self.rule), "loss", "params", *self._making]
        refuse_unknown(hyper, known, self.rule.name.upper(), elsewhere=dict.fromkeys(RUNNING, TAKEN_BY_A_RUN))
        users = set(vars(self))
        if params is None:
            raise TypeError("params is missing: pass the array to optimize, a list of arrays or a dict name -> array")
        registered = Parameters(params)
        objective = None if loss is None else Objective(loss, gradient, registered, inputs)
        watched = Monitors(monitors, registered, monitor_gradients)
        self._session = Session(self.rule, registered, hyper, objective, watched, Updates(updates))
        self.hyper  # noqa: B018  made before anyone looks which attributes are the optimizer's own
        self._own_names = frozenset(vars(self)) - users | {"_own_names"}

    def _make(self, **arguments: Any) -> None:
        Optimizer.__init__(self, **arguments)

    def _made_of(self) -> dict[str, Any]:
        return self._session.made_of()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in vars(cls):
            making, running = ("loss", *cls._making), ("train", "valid", *RUNNING)
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
        if not (name.startswith("_") or hasattr(type(self), name)):
            refuse_misplaced(self, name, self._places)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted(name for name in super().__dir__() if name not in self._places or hasattr(self, name))

    @property
    def best(self) -> Best | None:
        """The best validation so far."""
        return self._session.ledger.best

    @property
    def history(self) -> list[Epoch]:
        """Every epoch so far."""
        return self._session.ledger.history

    @property
    def stopped_because(self) -> str | None:
        """Why the last iteration ended; None before one has."""
        return self._session.ledger.stopped_because

    def reset(self) -> None:
        """Forget accumulators, velocities, counts, history and best; the parameters stay as they are."""
        session = self._session
        session.give_up_unfinished_run()
        with whole():
            session.engine.flush()
            session.engine.reset()
            session.ledger = Ledger()

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
        session = self._session
        params = session.params
        if targets is None or isinstance(targets, str):
            if not session.ledger.best_arrays:
                raise RuntimeError("there are no best parameters before the first validation: run iterate or minimize")
            values: Sequence[Any] = session.ledger.best_arrays
        else:
            values = assignment.values_of(params, targets)
        assignment.check(params, values)
        params.refuse_moved()
        session.flush()  # targets may be views of the parameters
        copies = assignment.copies(params, values)
        with whole():
            session.engine.changes += 1
            for array, value in zip(params.arrays, copies, strict=True):
                array[...] = value
            session.note_displacement()

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
        found = self._session.means_over(as_dataset(dataset))
        assert found is not None
        return found

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
        refuse_unknown(hyper, known, "iterate", elsewhere=elsewhere | dict.fromkeys(self._making, TAKEN_WHEN_MADE))
        _check_limits(0, max_updates=max_updates, max_epochs=max_epochs)
        _check_limits(1, train_batches=train_batches, valid_batches=valid_batches)
        if touches is not None and not callable(touches):
            raise TypeError(f"touches must be callable as touches(*batch), not {type(touches).__name__}")
        session = self._session
        session.objective  # noqa: B018  raises if there is none
        session.engine.check(*session.settings_of(*session.divided(hyper)), session.unused)
        train = limited(as_dataset(train, batch_size=batch_size, rng=rng), train_batches)
        valid = train if valid is None else as_dataset(valid, batch_size=batch_size)
        valid = limited(valid, valid_batches)
        run = Run(session, train, valid, max_updates, max_epochs, hyper, touches)
        session.latest_run = run
        if progress:
            from ..support.progress import shown

            return run.epochs(lambda epochs: shown(epochs, max_epochs))
        return run.epochs()

    def minimize(self, *args: Any, **kwargs: Any) -> tuple[Monitored | None, Monitored]:
        """Exhaust `iterate`, which takes the same arguments.

        Returns
        -------
        train_monitors : dict of str to float
            Of the last epoch; None if there was none.
        valid_monitors : dict of str to float
            Of the parameters that it leaves.
        """
        epochs, session = self.iterate(*args, **kwargs), self._session
        run = session.latest_run
        assert run is not None
        with run.interrupts.held():  # also between epochs
            for _ in epochs:
                pass
        return run.last_train, dict(session.best.monitors) if run.has_best and session.best else run.last_valid
