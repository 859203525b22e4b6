"""Parameters, their state and their steps: the part of an optimizer that needs no loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Unpack

from numpy.typing import NDArray

from ..engine.engine import Engine
from ..engine.options import Conduct, Hyper, Rule, Settings, make_group_settings, make_settings, own_copy, starts_of
from ..engine.parameters import FloatArray, Parameters
from ..kernels.rules import trait
from ..support.checks import quick_float
from ..support.log import logger
from ..support.read_only import ReadOnly
from .history import Ledger
from .hyper_view import HyperView


class Update:
    """The fused update of one parameter, as `Stepper.get_updates` gives it.

    Calling it with a gradient, and for `ESGD` with a Hessian-vector product, steps the parameter in place. It counts
    its own steps, and goes by the hyperparameters of the moment.
    """

    def __init__(self, stepper: Stepper, position: int) -> None:
        self._stepper, self._position = stepper, position
        self._name = stepper.engine.params.names[position]
        self._make_stepping()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made_after": None, "_stepping": None}

    def __copy__(self) -> Update:
        return Update(self._stepper, self._position)

    def _make_stepping(self) -> None:
        engine = self._stepper.engine
        self._made_after: Any = engine.stepping
        self._stepping: Any = engine.stepping_of(self._position)
        self._tuning = engine.tuning

    @property
    def steps(self) -> int:
        """Updates that this parameter has had through `get_updates`."""
        return self._stepper.ledger.updates.get(self._name, 0)

    def __call__(self, gradient: Any, product: Any = None) -> None:
        engine = self._stepper.engine
        gradients: list[Any] = [None] * len(engine.params)
        products = gradients.copy()
        gradients[self._position], products[self._position] = gradient, product
        with engine.lock:
            if self._stepper.ledger.steps:
                self._stepper._refuse_two_counts()
            if self._made_after is not engine.stepping:
                self._make_stepping()
            elif self._tuning != engine.tuning:
                self._tuning = engine.tuning
                self._stepping.take_numbers(engine.unsettled)
            if self._stepper._unused:
                engine.state.refresh(engine.settings)
            if self._stepping.step(gradients, self.steps, products):
                self._stepper.ledger.updates[self._name] = self.steps + 1
        engine.changes += 1
        if engine.infinite:
            engine.warn_of_infinity(stacklevel=2)


class Stepper:
    """Registers parameters and steps them with gradients that come from anywhere."""

    rule: ClassVar[Rule]

    def __init__(self, params: Any, hyper: Mapping[str, Any]) -> None:
        if params is None:
            raise TypeError("params is missing: pass the array to optimize, a list of arrays or a dict name -> array")
        self._params = Parameters(params)
        self.engine = Engine(self.rule, self._params)
        self.ledger = Ledger()
        self._overlay: dict[str, Any] = {}
        self.hyper  # noqa: B018  made before anyone looks which attributes are the optimizer's own
        defaults, conduct = make_settings(self.rule, {})
        self._defaults = {**vars(defaults.options), **vars(defaults.own), **vars(conduct)}
        self._configure(dict(hyper), {})
        self._buffers: list[FloatArray] = []

    def _configure(self, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        """Make `hyper`, with a run's `overlay` on top, what the next step goes by; all or nothing."""
        settings, conduct = self._settings(hyper, overlay)
        groups = {**hyper, **overlay}.get("groups", {})
        followers = frozenset(i for i, n in enumerate(self._params.names) if "learning_rate" not in groups.get(n, {}))
        self.engine.configure(settings, conduct, self.ledger.steps, self._unused, followers)
        self._hyper, self._overlay = own_copy(hyper), own_copy(overlay)
        self.conduct: Conduct = conduct
        for name, value in trait(self.rule, "fixed").items():
            if overlay.get(name, hyper.get(name, value)) != value:
                logger.info("%s of %s is %s whatever is given", name, self.rule.name.upper(), value)

    def _settings(self, hyper: dict[str, Any], overlay: dict[str, Any]) -> tuple[list[Settings], Conduct]:
        settings, conduct = self._settings_alone(hyper)
        if overlay:
            own = settings
            settings, conduct = self._settings_alone({**hyper, **overlay})
            for name, here, there in zip(self._params.names, own, settings, strict=True):
                if here.start != there.start and not there.options.frozen:
                    raise ValueError(
                        f"{' and '.join(starts_of(self.rule))} of {name!r} shape the state, which outlives the run: "
                        "choose them when the optimizer is made, or before its first step"
                    )
        return settings, conduct

    def _settings_alone(self, hyper: dict[str, Any]) -> tuple[list[Settings], Conduct]:
        settings, conduct = make_settings(self.rule, hyper)
        by_name = make_group_settings(self.rule, settings, hyper.get("groups", {}), self._params.names)
        return [by_name[name] for name in self._params.names], conduct

    @property
    def _unused(self) -> bool:
        """Whether no step has used the state."""
        return not (self.ledger.steps or self.ledger.updates)

    def _divided(self, hyper: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A run's hyperparameters: the optimizer's own, with what shapes a state still unused, and the run's alone."""
        lasting = {name: hyper[name] for name in starts_of(self.rule) if self._unused and name in hyper}
        return {**self._hyper, **lasting}, {name: value for name, value in hyper.items() if name not in lasting}

    @cached_property  # a property's call would be a tenth of the time that it takes to set the learning rate
    def hyper(self) -> HyperView:
        """Hyperparameters that are in force: read or set as attributes, ``opt.hyper.learning_rate = 0.1``.

        Changes are for good, from the next step on. In an iteration those that it was given are in force; what is not
        changed meanwhile ends with it.
        """
        return HyperView(self)

    def read_hyper(self) -> dict[str, Any]:
        """All hyperparameters by name, as `hyper` shows them."""
        in_force = own_copy({**self._hyper, **self._overlay})
        return {**self._defaults, "groups": {}, **in_force, **trait(self.rule, "fixed")}

    def change_hyper(self, changes: Mapping[str, Any]) -> None:
        """Change hyperparameters for good; none, if one is refused."""
        overlay = {name: value for name, value in self._overlay.items() if name not in changes}
        self._configure({**self._hyper, **changes}, overlay)

    def set_hyper(self, name: str, value: Any) -> None:
        """Change one hyperparameter for good."""
        if name == "learning_rate":
            rate = value if type(value) is float else quick_float(name, value)
            engine = self.engine
            if engine.set_rate(rate) or engine.set_rate_looking_around(rate, self._unused):
                self._hyper[name] = value
                if self._overlay:
                    self._overlay.pop(name, None)
                return
        self.change_hyper({name: value})

    @property
    def params(self) -> Mapping[str, FloatArray]:
        """The user's arrays by name, read-only mapping; rows that lag behind are as they were (see `flush`)."""
        return ReadOnly(dict(zip(self._params.names, self._params.owners, strict=True)))

    @property
    def state(self) -> Mapping[str, Mapping[str, FloatArray]]:
        """Slots by parameter name, ``{"accumulator": ..., "velocity": ...}``: read-only views of the live arrays.

        Asking for it brings all rows up to date.
        """
        self.flush()
        if self._unused:
            self.engine.state.refresh(self.engine.settings)
        return self.engine.state.view()

    @property
    def learned(self) -> Mapping[str, float]:
        """What a method has measured to find its step size, by name; empty of all others."""
        return dict(zip(trait(self.rule, "learned"), self.engine.state.learned, strict=True))

    @property
    def gradients(self) -> Any:
        """Preallocated gradient buffers in the structure of params: fill them, then call ``step()``."""
        if not self._buffers:
            self._buffers = self._params.zeros(self._params.arrays, [a.shape for a in self._params.arrays])
        return self._params.restructure(self._buffers)

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self.ledger.steps

    @property
    def skipped(self) -> int:
        """Steps skipped for a non-finite gradient."""
        return self.ledger.skipped

    def step(self, gradients: Any = None) -> None:
        """One fused update of all parameters, in place.

        Parameters
        ----------
        gradients : arrays, Rows or scipy.sparse matrices in the structure of params, optional
            Of a dict's parameters, a list in their order will do. An array is of exactly the shape and dtype of its
            parameter and C-contiguous. They are not written. Without them, what `gradients` holds is taken. Those of
            frozen parameters are not looked at. A sparse matrix is CSR, CSC or COO, of the parameter's shape and dtype;
            what it does not store is 0. Under momentum, decay, l1 or l2, what a sparse gradient does not name moves as
            `lazy` says.

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit.
        IndexError
            If one of Rows or of a sparse matrix names a row or a column that there is not.
        FloatingPointError
            If one holds NaN or infinity, unless ``nonfinite`` is "skip" or "ignore".

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
        self._step(self._filled_buffers() if gradients is None else self._params.flatten(gradients))
        engine = self.engine
        engine.changes += 1
        if engine.infinite:
            engine.warn_of_infinity(stacklevel=2)

    def _filled_buffers(self) -> list[Any]:
        if not self._buffers:
            raise RuntimeError("step() without gradients takes opt.gradients, which nobody has filled yet")
        return self._buffers

    def _step(self, gradients: list[Any], products: Sequence[Any] = ()) -> None:
        engine, ledger = self.engine, self.ledger
        with engine.lock:
            if not ledger.steps:
                if self._unused:
                    engine.state.refresh(engine.settings)
                else:
                    self._refuse_two_counts()
            if engine.stepping.step(gradients, ledger.steps, products):
                ledger.steps += 1
            else:
                ledger.skipped += 1

    def _refuse_two_counts(self) -> None:
        """Raise ValueError if a method that counts its steps is stepped both as a whole and one by one."""
        if any(trait(s.form, "timed") for s in self.engine.unsettled):
            raise ValueError(
                f"{self.rule.name.upper()} goes by the number of its steps, which step and get_updates count apart: "
                "use one of them, or reset() in between"
            )

    def read_rows(self, name: str, indices: NDArray[Any]) -> Any:
        """Rows of a parameter, up to date whatever has been stepped lazily.

        Parameters
        ----------
        name : str
        indices : ndarray of int32 or int64, shape (n,)
            A device array if the parameter is one.

        Returns
        -------
        array, shape (n, *parameter.shape[1:])
            A copy, where the parameter is; the parameter's own rows are brought up to date too.

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
        return self.engine.read(self._position_of(name), f"rows of {name!r}: indices", indices)

    def _position_of(self, name: str) -> int:
        if name not in self._params.names:
            raise ValueError(f"there is no parameter {name!r}; there are {', '.join(map(repr, self._params.names))}")
        return self._params.names.index(name)

    def flush(self) -> None:
        """Bring all rows of all parameters up to date.

        Matters after sparse gradients under momentum, decay, l1 or l2 with ``lazy="exact"``: rows that they did not
        name are caught up when they are next needed. `read_rows`, `state`, `evaluate`, `save` and `set_params` see to
        it by themselves, and so does a change of hyperparameters that no closed form spans. Call it before you read or
        write your own arrays: what a row missed comes on top of what has been written meanwhile.
        """
        self.engine.flush()
        if self.engine.infinite:
            self.engine.warn_of_infinity(stacklevel=2)

    def get_updates(self, *, batch_size: int | None = None, **hyper: Unpack[Hyper]) -> Iterator[tuple[str, Update]]:
        """Yield (name, update) pairs, one for each parameter that is not frozen.

        Parameters
        ----------
        batch_size : int, optional
            Says nothing to an update. It is taken so that the arguments of `iterate` will do here too, as in downhill.
        **hyper
            Changed for good, as through `hyper`.

        Yields
        ------
        name : str
        update : callable
            ``update(gradient)`` applies the fused update of that parameter alone, and counts for it alone.

        Raises
        ------
        ValueError
            With max_global_norm, which needs all gradients at once, or of a method that measures all parameters.
        """
        if hyper:
            self.change_hyper(hyper)
        active = [i for i in range(len(self._params)) if i not in self.engine.frozen]
        return iter([(self._params.names[i], Update(self, i)) for i in active])
