"""The part of an optimizer that needs no loss: steps with gradients of the user's, and reading the state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Unpack

from numpy.typing import NDArray

from ..engine.options import Hyper, Rule
from ..engine.parameters import FloatArray
from ..kernels.rules import trait
from ..support.read_only import ReadOnly
from .hyper_view import HyperView
from .session import Session
from .stepper import Stepper


class Update:
    """The fused update of one parameter, as `Optimizer.get_updates` gives it.

    A call with a gradient, and for `ESGD` with a Hessian-vector product, steps the parameter in place. The update
    counts its own steps and uses the hyperparameters in force. It raises what `Optimizer.step` raises.

    Attributes
    ----------
    steps : int
        Updates that this parameter has had.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> w = np.array([1.0])
    >>> [(name, update)] = fa.SGD(params=w, learning_rate=0.5).get_updates()
    >>> update(np.array([1.0]))
    >>> name, update.steps, w
    ('param0', 1, array([0.5]))
    """

    def __init__(self, optimizer: ByGradients, position: int) -> None:
        self._optimizer, self._position = optimizer, position
        self._name = self._inside.params.names[position]
        self._make_stepping()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made_after": None, "_stepping": None}

    def __repr__(self) -> str:
        return f"<Update of {self._name!r} by {type(self._optimizer).__name__}, {self.steps:,} so far>"

    def __copy__(self) -> Update:
        return Update(self._optimizer, self._position)

    @property
    def _inside(self) -> Stepper:
        return self._optimizer._session

    def _make_stepping(self) -> None:
        engine = self._inside.engine
        self._made_after: Any = engine.stepping
        self._stepping: Any = engine.stepping_of(self._position)
        self._tuning = engine.tuning

    @property
    def steps(self) -> int:
        """Updates that this parameter has had through `get_updates`."""
        self._inside.count_update()
        return self._inside.ledger.updates.get(self._name, 0)

    def __call__(self, gradient: Any, product: Any = None) -> None:
        inside = self._inside
        gradients: list[Any] = [None] * len(inside.params)
        products = gradients.copy()
        gradients[self._position], products[self._position] = gradient, product
        inside.step_alone(self._name, self._up_to_date, gradients, products)

    def _up_to_date(self) -> Any:
        """The `Stepping` of this parameter, with the hyperparameters in force."""
        engine = self._inside.engine
        if self._made_after is not engine.stepping:
            self._make_stepping()
        elif self._tuning != engine.tuning:
            self._stepping.take_numbers(engine.unsettled)
            self._tuning = engine.tuning
        return self._stepping


class ByGradients:
    """The base of optimizers that has steps with given gradients, and access to parameters, state and counts."""

    rule: ClassVar[Rule]
    _session: Session

    @cached_property  # A property is a call each time, which shows where the learning rate is set before each step.
    def hyper(self) -> HyperView:
        """Hyperparameters that are in force: read or set as attributes, ``opt.hyper.learning_rate = 0.1``.

        Changes are for good, from the next step on. During an iteration the hyperparameters given to the iteration are
        in force; those of them that are not changed meanwhile end with the iteration.
        """
        return HyperView(self._session)

    @property
    def params(self) -> Mapping[str, FloatArray]:
        """The user's arrays by name, read-only mapping; rows that lag behind are as they were (see `flush`)."""
        return ReadOnly(dict(zip(self._session.params.names, self._session.params.owners, strict=True)))

    @property
    def state(self) -> Mapping[str, Mapping[str, FloatArray]]:
        """Slots by parameter name, ``{"accumulator": ..., "velocity": ...}``: read-only views of the live arrays.

        All rows are caught up first.
        """
        session = self._session
        with session.engine.lock:
            session.flush()
            if session.unused:
                session.engine.state.refresh(session.engine.settings)
            return session.engine.state.view()

    @property
    def learned(self) -> Mapping[str, float]:
        """Numbers that the method has learned by measuring, to find its step size, by name; empty if it has none."""
        return dict(zip(trait(self.rule, "learned"), self._session.engine.state.learned, strict=True))

    @property
    def gradients(self) -> Any:
        """Preallocated gradient buffers in the structure of params: fill them, then call ``step()``."""
        return self._session.params.restructure(self._session.buffers())

    @property
    def steps(self) -> int:
        """Steps made so far."""
        self._session.count_update()
        self._session.take_answers(tell=False)
        return self._session.ledger.steps

    @property
    def skipped(self) -> int:
        """Steps skipped for a non-finite gradient."""
        self._session.take_answers(tell=False)
        return self._session.ledger.skipped

    def step(self, gradients: Any = None) -> None:
        """One fused update of all parameters, in place.

        Parameters
        ----------
        gradients : arrays, Rows or scipy.sparse matrices in the structure of params, optional
            If the parameters are a dict, a list in their order will do; if they are a tree, a flat dict by their names,
            such as ``layer1/W``. An array is NumPy's or of a library that has
            ``__dlpack__``, such as torch's and JAX's, whose memory is read as it is. It has exactly the shape and dtype
            of its parameter and is C-contiguous. Gradients are not written. Without this argument, the buffers of the
            property `gradients` are used. Gradients of frozen parameters are not looked at. A sparse matrix is CSR, CSC
            or COO, of the parameter's shape and dtype; elements that it does not store are 0. Under momentum, decay, l1
            or l2, rows that a sparse gradient does not name move as `lazy` says.

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit.
        IndexError
            If Rows or a sparse matrix name a row or a column that does not exist.
        FloatingPointError
            If a gradient holds NaN or infinity, unless ``nonfinite`` is "skip" or "ignore".
        RuntimeError
            If it is called by what the optimizer calls: a loss, a monitor, a learning rate, ...

        Nothing has been changed when it raises.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> w = np.array([1.0, -2.0])
        >>> opt = fa.ADAGRAD(params=w, learning_rate=0.5)
        >>> opt.step(np.array([0.3, -0.1]))
        >>> w
        array([ 0.50000002, -1.50000005])
        """
        session = self._session
        flat = session.filled_buffers() if gradients is None else session.flattened(gradients)
        session.step(flat, from_outside=True)

    def read_rows(self, name: str, indices: NDArray[Any]) -> Any:
        """Read rows of a parameter, which are caught up first.

        Parameters
        ----------
        name : str
            Name of the parameter.
        indices : ndarray of int32 or int64, shape (n,)
            Numbers of the rows; a device array if the parameter is one.

        Returns
        -------
        array, shape ``(n, *parameter.shape[1:])``
            A copy, in the memory where the parameter lies; the parameter's own rows are caught up, too.

        Raises
        ------
        TypeError, ValueError, IndexError
            If there is no such parameter, or if `indices` are no row numbers.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params={"table": np.ones((1000, 2))}, learning_rate=0.1, decoupled_weight_decay=0.5)
        >>> opt.step({"table": fa.Rows(np.array([7]), np.zeros((1, 2)))})
        >>> opt.read_rows("table", np.array([3, 7]))
        array([[0.95, 0.95],
               [0.95, 0.95]])
        """
        session = self._session
        session.take_answers()
        return session.engine.read(session.position_of(name), f"rows of {name!r}: indices", indices)

    def flush(self) -> None:
        """Catch up all rows of all parameters.

        This matters after sparse gradients under momentum, decay, l1 or l2 with ``lazy="exact"``: rows that no gradient
        named are caught up only when they are next needed. `read_rows`, `state`, `evaluate`, `save` and `set_params`
        catch them up by themselves, and so does a change of hyperparameters that no closed form spans. Call `flush`
        before you read or write your own arrays: otherwise missed steps are later applied to what you have written.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> table = np.ones((1000, 2))
        >>> opt = fa.ADAGRAD(params=table, learning_rate=0.1, decoupled_weight_decay=0.5)
        >>> opt.step(fa.Rows(np.array([7]), np.zeros((1, 2))))
        >>> table[3]
        array([1., 1.])
        >>> opt.flush()
        >>> table[3]
        array([0.95, 0.95])
        """
        self._session.flush()

    def get_updates(self, *, batch_size: int | None = None, **hyper: Unpack[Hyper]) -> Iterator[tuple[str, Update]]:
        """Yield (name, update) pairs, one for each parameter that is not frozen.

        Parameters
        ----------
        batch_size : int, optional
            Without effect. It is accepted so that the arguments of `iterate` can be passed here too, as in downhill.
        **hyper : float, bool, str, callable or dict
            Hyperparameters, which are changed for good, as through `hyper`.

        Yields
        ------
        name : str
            Name of the parameter.
        update : Update
            ``update(gradient)`` applies the fused update of that parameter alone, and counts for it alone.

        Raises
        ------
        ValueError
            With max_global_norm, which needs all gradients at once, or if the method measures all parameters together.
        TypeError
            If there is no such hyperparameter.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> w = np.array([1.0, -2.0])
        >>> opt = fa.SGD(params={"w": w}, learning_rate=0.5)
        >>> for name, update in opt.get_updates():
        ...     update(np.array([1.0, 1.0]))
        >>> w
        array([ 0.5, -2.5])
        """
        session = self._session
        if hyper:
            own = session.own_copy({**session.hyper, **session.overlay, **hyper})
            _, conduct = session.settings_of(own, {})
            session.engine.refuse_alone(conduct)
            session.change_hyper(hyper)
        params, frozen = session.params, session.engine.frozen
        return iter([(params.names[i], Update(self, i)) for i in range(len(params)) if i not in frozen])


def session_of(optimizer: ByGradients) -> Session:
    """The `Session` of an optimizer, for other modules of this library; users have no access to it."""
    return optimizer._session
