"""The class `Optimizer`, the base of all methods, whose interface is modelled on downhill's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from ..data.dataset import as_dataset, limited
from ..engine.options import Hyper, hyper_names, refuse_unknown
from ..engine.parameters import Parameters
from ..support.asking import asking, whether
from ..support.attributes import MAKING, OF_DATASETS, RUNNING, TAKEN_BY_A_RUN, TAKEN_BY_DATASETS, TAKEN_WHEN_MADE
from ..support.checks import check_limits
from ..support.interrupts import whole
from . import assignment
from .documents import Described, takes_as
from .history import Best, History, Ledger, Monitored
from .keeping import Keeper
from .monitors import Monitor, Monitors
from .names import Named
from .objective import Gradient, Objective
from .run import Run, Touches
from .session import Session
from .shown import Shown
from .updates import Pair, Updates


class Optimizer(Named, Shown, Keeper, metaclass=Described):
    """What all methods share: parameters, their state and steps, a loss, and runs that minimize it.

    This class is no method itself: use the class of a method, or `build`.

    Parameters
    ----------
    loss : callable, optional
        ``loss(params, *batch)`` returns the loss, or (loss, gradients); params comes in the structure given here.
        Not needed if only `step` is called.
    params : array, list of arrays, dict of str to array, or a tree of dicts and lists of arrays
        Arrays of NumPy or of a library that has ``__dlpack__``, such as torch's, or arrays that are all on one GPU;
        float32 or float64, C-contiguous and writable, as they are updated in place and never copied. In the host's
        memory also float16 or the bfloat16 of ml_dtypes, which are computed with as float32 and have float32 state. In
        a tree they are named by the way to them, as ``layer1/W``; positions in lists are numbers.
    inputs : list of str, optional
        Names picked out of batches that are dicts or DataFrames, in the order in which loss takes them. Batches of
        as many arrays are taken to have that order already.
    updates : iterable of (array, callable), optional
        After each step ``array[...] = callable(params, *batch)``.
    monitors : dict or iterable of (name, callable), optional
        ``callable(params, *batch)`` gives a number to average over each epoch. 'loss' is always monitored.
    monitor_gradients : bool, default False
        Monitor the squared norm of each gradient as ``grad(name)``.
    gradient : True, callable, "autograd" or None, default None
        True: loss returns (value, gradients). A callable: ``gradient(params, *batch)`` returns them. "autograd":
        autograd derives them. None: they are taken from loss if it returns a pair, else autograd derives them.
    comm : mpi4py communicator, optional
        The processes that train together, ``mpi4py.MPI.COMM_WORLD``: see the page on more than one machine.
    reduction : {"mean", "sum"}, default "mean"
        With `comm`, what a step takes of the gradients of all processes.
    **hyper
        Hyperparameters of the method, which its class names one by one.

    Raises
    ------
    TypeError, ValueError
        If this class itself is called, or for the reasons that the method's class names.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> isinstance(fa.build("sgd", params=np.ones(2)), fa.Optimizer)
    True
    """

    _making: ClassVar[tuple[str, ...]] = MAKING

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
        comm: Any = None,
        reduction: str = "mean",
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
        watched = Monitors(monitors, registered, whether("monitor_gradients", monitor_gradients))
        made_of = self.rule, registered, hyper, objective, watched, Updates(updates)
        if comm is None:
            self._session = Session(*made_of)
        else:
            from .divided import sessions_among

            self._session = sessions_among(comm, reduction)(*made_of)
        self.hyper  # noqa: B018  makes the cached property, so that `_own_names` has it
        self._own_names = frozenset(vars(self)) - users | {"_own_names"}

    def _make(self, **arguments: Any) -> None:
        Optimizer.__init__(self, **arguments)

    def _made_of(self) -> dict[str, Any]:
        return self._session.made_of()

    @property
    def best(self) -> Best | None:
        """The best validation so far."""
        return self._session.ledger.best

    @property
    def history(self) -> History:
        """Every epoch so far: a list of `Epoch`, and as flat tables what each has left (`History.records`)."""
        return self._session.ledger.history

    @property
    def stopped_because(self) -> str | None:
        """Why the last iteration ended; None if no iteration has ended yet."""
        return self._session.ledger.stopped_because

    def reset(self) -> None:
        """Forget accumulators, velocities, counts, history and best; the parameters stay as they are.

        Raises
        ------
        RuntimeError
            If it is called by what the optimizer calls: a loss, a monitor, a learning rate, ...

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params=np.ones(2))
        >>> opt.step(np.ones(2))
        >>> opt.reset()
        >>> opt.steps, opt.state["param0"]["accumulator"]
        (0, array([0., 0.]))
        """
        session = self._session
        with session.engine.changing("reset"), whole():
            session.give_up_unfinished_run("reset")
            session.engine.flush()
            session.engine.reset()
            session.ledger = Ledger()

    def set_params(self, targets: Any = None) -> None:
        """Set the parameters, in place.

        Parameters
        ----------
        targets : None, 'best', or arrays in the structure of params, or a list of them in their order; default None
            Nested lists will do for arrays, and for a tree a flat dict by names. None and 'best' take the parameters of
            the best validation so far. A method that computes parameters from its slots (dual averaging, FTRL, COCOB)
            puts them back where the slots place them in its next step; see `reset`.

        Raises
        ------
        RuntimeError
            If the best parameters are asked for, but there has been no validation yet; or if it is called by what the
            optimizer calls: a loss, a monitor, a learning rate, ...
        TypeError, ValueError
            If the structure, a shape or a dtype does not fit; nothing is changed then.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> w = np.array([1.0, 2.0])
        >>> opt = fa.ADAGRAD(params=w)
        >>> opt.set_params([3, 4])
        >>> w
        array([3., 4.])
        """
        session, best = self._session, assignment.asks_for_best(targets)
        params = session.params
        values: Sequence[Any] = () if best else assignment.values_of(params, targets)
        with session.engine.changing("set_params"):
            if best:
                values = session.ledger.best_arrays
                if not values:
                    raise RuntimeError(
                        "there are no best parameters before the first validation: run iterate or minimize"
                    )
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
            Data in storage order: a Dataset is read up to its `iteration_size`, arrays and iterables to their end.

        Returns
        -------
        dict of str to float
            'loss' and the monitors.

        Raises
        ------
        TypeError, ValueError
            If no Dataset can be made of the argument, or if the loss or a monitor returns no number.
        RuntimeError
            If the optimizer was made without a loss.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> loss, monitors = lambda w, x: np.square(x - w).mean(), {"largest": lambda w, x: x.max()}
        >>> opt = fa.ADAGRAD(loss, np.zeros(1), monitors=monitors)
        >>> opt.evaluate([np.array([1.0, 3.0])])
        {'loss': 5.0, 'largest': 3.0}
        """
        if dataset is None:
            self._session.objective.refuse_missing_data("dataset")
        with asking("dataset"):
            data = as_dataset(dataset)
        found = self._session.means_over(data)
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

        The first validation comes before the first update, then one every ``validate_every`` epochs; in between, the
        result of the latest validation is yielded. The iteration stops when ``patience`` + 1 validations in a row have
        not improved on the best, or at ``max_updates`` or ``max_epochs``. At the end, parameters that have changed
        since the last validation are validated once more, and the parameters of the best validation are restored. This
        also happens when the loop is left early (``break``, ``next``, an exception in its body, ...) and its iterator
        closed, unless the parameters have been changed from outside since: stepped, set, loaded or reset.

        Parameters
        ----------
        train, valid : Dataset, arrays, callable, iterable of batches, or None
            None for `train` is for a loss without data, whose epochs are single updates. `valid` defaults to `train`.
        max_updates, max_epochs : int, optional
            Limits of this run; `max_updates` may end it in the middle of an epoch.
        batch_size : int, default 32
            Samples a batch, where a Dataset is made of other data.
        train_batches, valid_batches : int, optional
            Number of batches in a training epoch, and the largest number in a validation, for any kind of data. The
            default is a Dataset's `iteration_size`, or else one pass (for a callable its length, or 100). Validation on
            `train` takes no more batches than a training epoch does. Endless data need both. With `train_batches`, an
            epoch begins where the one before stopped, but the next run begins where this run began; a Dataset with an
            `iteration_size` goes on in the next run.
        rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
            Source of the random order, where a Dataset is made of training data.
        progress : bool, default False
            Show a progress bar (needs the extra ``fit``).
        touches : callable, optional
            ``touches(*batch)`` returns a dict, parameter name -> indices of the rows that the loss will read: where
            rows lag behind (`lazy`), only these are caught up before each call. Without `touches` all rows are.
        **hyper
            Hyperparameters for this run only (but `accumulator` and `initial_accumulator_value`, which shape the
            state, hold for good and can be given before the first step only).

        Yields
        ------
        train_monitors : dict of str to float
            Means over the epoch, weighted by sample: 'loss', the gradients' norms and the monitors, if asked for.
        valid_monitors : dict of str to float
            Monitors of the latest validation.

        Raises
        ------
        TypeError, ValueError
            If an argument, a hyperparameter or a result of the loss is refused.
        RuntimeError
            If the optimizer was made without a loss, or if what it calls asks for an iteration.
        FloatingPointError, IndexError
            For a gradient of the loss, as in `step`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> for train, valid in opt.iterate(max_epochs=2, validate_every=1):
        ...     print(train, valid)
        {'loss': 16.0} {'loss': 16.0}
        {'loss': 4.0} {'loss': 1.0}
        """
        known = [*hyper_names(self.rule), *RUNNING]
        elsewhere = {name: TAKEN_BY_DATASETS.format(name) for name in OF_DATASETS}
        refuse_unknown(hyper, known, "iterate", elsewhere=elsewhere | dict.fromkeys(self._making, TAKEN_WHEN_MADE))
        check_limits(0, max_updates=max_updates, max_epochs=max_epochs)
        check_limits(1, train_batches=train_batches, valid_batches=valid_batches)
        if touches is not None and not callable(touches):
            raise TypeError(f"touches must be callable as touches(*batch), not {type(touches).__name__}")
        session = self._session
        objective = session.objective  # raises if there is none
        if train is None:
            objective.refuse_missing_data("train")
        own = session.own_copy(hyper)
        session.engine.check(*session.settings_of(*session.divided(own)), session.unused)
        with asking("train"):
            train = limited(as_dataset(train, batch_size=batch_size, rng=session.common_rng(rng)), train_batches)
        with asking("valid"):
            valid = train if valid is None else as_dataset(valid, batch_size=batch_size)
            valid = limited(valid, valid_batches)
        run = Run(session, train, valid, max_updates, max_epochs, own, touches)
        session.latest_run = run
        if whether("progress", progress):
            from ..support.progress import shown

            return run.epochs(lambda epochs: shown(epochs, max_epochs))
        return run.epochs()

    @takes_as(iterate)
    def minimize(
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
    ) -> tuple[Monitored | None, Monitored]:
        """Exhaust `iterate`, which takes the same arguments.

        Returns
        -------
        train_monitors : dict of str to float
            Monitors of the last epoch; None if there was no epoch.
        valid_monitors : dict of str to float
            Monitors of the parameters at the end.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError, RuntimeError
            As in `iterate`.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.SGD(lambda w: (w @ w, 2 * w), np.array([4.0]), learning_rate=0.25)
        >>> opt.minimize(max_epochs=2)
        ({'loss': 4.0}, {'loss': 1.0})
        """
        epochs = self.iterate(
            train,
            valid,
            max_updates,
            max_epochs=max_epochs,
            batch_size=batch_size,
            train_batches=train_batches,
            valid_batches=valid_batches,
            rng=rng,
            progress=progress,
            touches=touches,
            **hyper,
        )
        session = self._session
        run = session.latest_run
        assert run is not None
        with run.interrupts.held():  # also between epochs
            for _ in epochs:
                pass
        return run.last_train, dict(session.best.monitors) if run.has_best and session.best else run.last_valid
