"""The class `Optimizer`, the base of all methods, whose interface is modelled on downhill's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from ..data.dataset import as_dataset
from ..engine.options import Hyper, hyper_names, refuse_unknown
from ..engine.parameters import Parameters
from ..support.asking import asking, shown, whether
from ..support.attributes import MAKING, RUNNING, TAKEN_BY_A_RUN
from ..support.interrupts import whole
from . import assignment
from .documents import Described
from .history import Best, History, Monitored
from .iterating import Iterating
from .monitors import Monitor, Monitors
from .names import Named
from .objective import Gradient, Objective
from .session import Session
from .shown import Shown
from .updates import Pair, Updates


class Optimizer(Named, Shown, Iterating, metaclass=Described):
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
    reduction : {"mean", "sum", "mean64", "sum64"}, default "mean"
        With `comm`, what a step takes of the gradients of all processes; those with 64 are added up in float64 and then
        rounded to the parameters' dtype.
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
            with asking("reduction", reduction):
                if not isinstance(reduction, str) or reduction != "mean":
                    raise ValueError(
                        f"reduction={shown(reduction)} is for several processes: give comm, too, or leave it out"
                    )
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
            session.take_answers(tell=False)
            session.give_up_unfinished_run("reset")
            session.engine.flush()
            session.engine.reset()
            session.begin_anew()

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
        session, params = self._session, self._session.params
        with session.engine.changing("set_params"):
            values = session.everywhere("set_params", lambda: self._checked_values(targets))
            session.flush()  # targets may be views of the parameters
            copies = assignment.copies(params, values)
            with whole():
                session.engine.changes += 1
                for array, value in zip(params.arrays, copies, strict=True):
                    array[...] = value
                session.share_params()
                session.note_displacement()

    def _checked_values(self, targets: Any) -> Sequence[Any]:
        """Arrays that the parameters can be set to."""
        params = self._session.params
        if assignment.asks_for_best(targets):
            values: Sequence[Any] = self._session.ledger.best_arrays
            if not values:
                raise RuntimeError("there are no best parameters before the first validation: run iterate or minimize")
        else:
            values = assignment.values_of(params, targets)
        assignment.check(params, values)
        params.refuse_moved()
        return values

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
        with asking("dataset", dataset):
            data = as_dataset(dataset)
        found = self._session.means_over(data)
        assert found is not None
        return found
