"""Parameters, their state and their steps: the part of an optimizer that needs no loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Unpack

from .engine import Engine, Plan
from .hyper import Conduct, Hyper, HyperView, Rule, make_group_settings, make_settings
from .ledger import Ledger
from .parameters import FloatArray, Parameters
from .state import allocate


class Update:
    """The fused update of one parameter, as `Stepper.get_updates` gives it.

    Calling it with a gradient steps the parameter in place. It counts its own steps.
    """

    def __init__(self, stepper: Stepper, plan: Plan, position: int) -> None:
        self._stepper, self._plan, self._position = stepper, plan, position
        self._name = stepper.engine.params.names[position]

    @property
    def steps(self) -> int:
        """Updates that this parameter has had through `get_updates`."""
        return self._stepper.ledger.updates.get(self._name, 0)

    def __call__(self, gradient: FloatArray) -> None:
        gradients: list[Any] = [None] * len(self._stepper.engine.params)
        gradients[self._position] = gradient
        if self._stepper.engine.step(gradients, self.steps, self._plan):
            self._stepper.ledger.updates[self._name] = self.steps + 1


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
        self._configure(dict(hyper), {})
        self._buffers: list[FloatArray] = []
        self._changes = 0  # of parameters or state from outside a running iteration

    def _configure(self, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        """Make `hyper`, with a run's `overlay` on top, what the next step goes by; all or nothing."""
        make_settings(self.rule, hyper)
        effective = {**hyper, **overlay}
        settings, conduct = make_settings(self.rule, effective)
        by_name = make_group_settings(self.rule, settings, effective.get("groups") or {}, self._params.names)
        self.engine.configure([by_name[name] for name in self._params.names], conduct)
        self._hyper, self._overlay = hyper, overlay
        self.conduct: Conduct = conduct

    @property
    def hyper(self) -> HyperView:
        """Hyperparameters: read or set as attributes, ``opt.hyper.learning_rate = 0.1``; changes are for good."""
        defaults = make_settings(self.rule, {})
        values = {**vars(defaults[0].options), **vars(defaults[0].own), **vars(defaults[1]), **self._hyper}
        return HyperView(values, self._change_hyper)

    def _change_hyper(self, changes: Mapping[str, Any]) -> None:
        overlay = {name: value for name, value in self._overlay.items() if name not in changes}
        self._configure({**self._hyper, **changes}, overlay)

    @property
    def params(self) -> Mapping[str, FloatArray]:
        """The user's arrays by name, read-only mapping."""
        return MappingProxyType(dict(self._params))

    @property
    def state(self) -> Mapping[str, Mapping[str, FloatArray]]:
        """Slots by parameter name, ``{"accumulator": ..., "velocity": ...}``: read-only views of the live arrays."""
        return self.engine.state.view()

    @property
    def gradients(self) -> Any:
        """Preallocated gradient buffers in the structure of params: fill them, then call ``step()``."""
        if not self._buffers:
            self._buffers = allocate(self._params.arrays, [a.shape for a in self._params.arrays])
        return self._params.restructure(self._buffers)

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return self.ledger.steps

    @property
    def skipped(self) -> int:
        """Steps skipped for a non-finite gradient."""
        return self.ledger.skipped

    def _note_change(self) -> None:
        self._changes += 1

    def step(self, gradients: Any = None) -> None:
        """One fused update of all parameters, in place.

        Parameters
        ----------
        gradients : arrays in the structure of params, optional
            Each of exactly the shape and dtype of its parameter and C-contiguous. They are not written. Without
            them, what `gradients` holds is taken. Those of frozen parameters are not looked at.

        Raises
        ------
        TypeError, ValueError
            If a gradient does not fit.
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
        self._note_change()
        if gradients is None:
            if not self._buffers:
                raise RuntimeError("step() without gradients takes opt.gradients, which nobody has filled yet")
            flat = self._buffers
        else:
            flat = self._params.flatten(gradients)
        self._step(flat)

    def _step(self, gradients: list[Any]) -> None:
        if self.engine.step(gradients, self.ledger.steps):
            self.ledger.steps += 1
        else:
            self.ledger.skipped += 1

    def get_updates(self, **hyper: Unpack[Hyper]) -> Iterator[tuple[str, Update]]:
        """Yield (name, update) pairs, one for each parameter that is not frozen.

        Parameters
        ----------
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
            With max_global_norm, which needs all gradients at once.
        """
        if hyper:
            self._change_hyper(hyper)
        active = [i for i, settings in enumerate(self.engine.settings) if not settings.options.frozen]
        return iter([(self._params.names[i], Update(self, self.engine.plan(i), i)) for i in active])
