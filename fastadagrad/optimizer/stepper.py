"""The stepper of an optimizer: parameters, hyperparameters, engine and counts, for steps with any gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..engine.engine import Engine
from ..engine.given import own_copy
from ..engine.options import Conduct, Rule, Settings, make_group_settings, make_settings, starts_of
from ..engine.parameters import FloatArray, Parameters
from ..engine.step import Stepping
from ..engine.unit import OtherKind
from ..kernels.rules import trait
from ..support.asking import asking, shown
from ..support.checks import quick_float
from ..support.log import logger
from ..support.plurals import plural
from .history import Ledger

DividedAmong = Callable[
    [Rule, Parameters, Sequence[Settings], Conduct], Engine
]  # makes the engine of one of several processes


class Stepper:
    """The inside of an optimizer, as far as it needs no loss.

    Attributes
    ----------
    hyper : dict
        Hyperparameters that hold for good, as they were given; those that were not given have their defaults.
    overlay : dict
        Hyperparameters of the run under way, which end with the run.
    """

    conduct: Conduct
    hyper: dict[str, Any]
    overlay: dict[str, Any]

    def __init__(
        self, rule: Rule, params: Parameters, hyper: Mapping[str, Any], divided_among: DividedAmong | None = None
    ) -> None:
        self.rule, self.params = rule, params
        self.ledger = Ledger()
        self._updates_before = 0  # the engine's count, when the step under way began or was counted
        self._untold: tuple[int, str] | None = None  # how many steps were left out, for the gradient of which parameter
        self._alone: str | None = None  # the parameter that the step under way is of; None for all
        self.overlay = {}
        defaults, conduct = make_settings(rule, {})
        self._defaults = {**vars(defaults.options), **vars(defaults.own), **vars(conduct)}
        if divided_among is None:
            params.refuse_shards("this optimizer has one process: give comm, as fastadagrad.shard was given it")
            self.engine = Engine(rule, params)
        else:
            self.engine = divided_among(rule, params, *self.settings_of(self.own_copy(hyper), {}))
        self.configure(dict(hyper), {})
        self._buffers: list[FloatArray] = []
        self.flattened: Callable[[Any], list[Any]] = params.flatten  # an attribute, as a method would be a call more

    # Hyperparameters

    def configure(self, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        """Put `hyper`, with a run's `overlay` on top, into force from the next step on; all of them or none."""
        hyper, overlay = self.own_copy(hyper), self.own_copy(overlay)
        settings, conduct = self.settings_of(hyper, overlay)
        if self.engine.deferring is not None:
            self.take_answers(wait=not self.engine.keeps_plan(settings, conduct, unused=True), tell=False)
        groups = {**hyper, **overlay}.get("groups", {})
        followers = frozenset(i for i, n in enumerate(self.params.names) if "learning_rate" not in groups.get(n, {}))
        with self.engine.lock:
            self.engine.configure(settings, conduct, self.ledger.steps, self.unused, followers)
            self.hyper, self.overlay = hyper, overlay
            self.conduct = conduct
        for name, value in trait(self.rule, "fixed").items():
            if overlay.get(name, hyper.get(name, value)) != value:
                logger.info("%s of %s is %s whatever is given", name, self.rule.name.upper(), value)

    def own_copy(self, hyper: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of hyperparameters that asks each object once; see `fastadagrad.engine.given.own_copy`."""
        return own_copy(hyper, self._defaults)

    def settings_of(self, hyper: dict[str, Any], overlay: dict[str, Any]) -> tuple[list[Settings], Conduct]:
        """Checked settings of each parameter, and the conduct, of hyperparameters as `own_copy` gives them.

        Raises ValueError or TypeError if one is refused.
        """
        settings, conduct = self._settings_alone(hyper)
        if overlay:
            own = settings
            settings, conduct = self._settings_alone({**hyper, **overlay})
            for name, here, there in zip(self.params.names, own, settings, strict=True):
                if here.start != there.start and not there.options.frozen:
                    raise ValueError(
                        f"{' and '.join(starts_of(self.rule))} of {name!r} shape the state, which outlives the run: "
                        "choose them when the optimizer is made, or before its first step"
                    )
        return settings, conduct

    def _settings_alone(self, hyper: dict[str, Any]) -> tuple[list[Settings], Conduct]:
        settings, conduct = make_settings(self.rule, hyper)
        by_name = make_group_settings(self.rule, settings, hyper.get("groups", {}), self.params.names)
        return [by_name[name] for name in self.params.names], conduct

    def divided(self, hyper: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hyperparameters of a run in two parts: those that hold for good, and those that end with the run.

        Hyperparameters of the run that decide how the state begins hold for good, if no step has used the state.
        """
        self.take_answers(tell=False)
        lasting = {name: hyper[name] for name in starts_of(self.rule) if self.unused and name in hyper}
        return {**self.hyper, **lasting}, {name: value for name, value in hyper.items() if name not in lasting}

    def read_hyper(self) -> dict[str, Any]:
        """All hyperparameters by name, as they are in force."""
        in_force = own_copy({**self.hyper, **self.overlay})
        return {**self._defaults, "groups": {}, **in_force, **trait(self.rule, "fixed")}

    def is_default(self, name: str, value: Any) -> bool:
        """Whether a hyperparameter has the value that it has if it is not given, or one that the method always has."""
        usual = {**self._defaults, "groups": {}, **trait(self.rule, "fixed")}
        return not callable(value) and bool(value == usual[name])

    def change_hyper(self, changes: Mapping[str, Any]) -> None:
        """Change hyperparameters for good; none is changed if one is refused."""
        with self.engine.changing("a change of hyperparameters"):
            overlay = {name: value for name, value in self.overlay.items() if name not in changes}
            self.configure({**self.hyper, **changes}, overlay)

    def set_hyper(self, name: str, value: Any) -> None:
        """Change one hyperparameter for good."""
        engine = self.engine
        if engine.busy or engine.callers:
            engine.refuse_within("a change of hyperparameters")
        if name == "learning_rate":
            rate = value if type(value) is float else quick_float(name, value)
            if engine.set_rate(rate) or engine.set_rate_looking_around(rate, self.unused):
                self.hyper[name] = value
                if self.overlay:
                    self.overlay.pop(name, None)
                return
        self.change_hyper({name: value})

    # State

    @property
    def unused(self) -> bool:
        """Whether no step has used the state."""
        return not (self.ledger.steps or self.ledger.updates)

    def begin_anew(self) -> None:
        """Forget all counts and the history."""
        self.ledger = Ledger()
        self.forget_untold()

    def forget_untold(self) -> None:
        """Forget deferred steps that were left out, as there is another state now."""
        self._untold = None

    def flush(self, tell: bool = True) -> None:
        """Catch up all rows of all parameters; `tell` by a FloatingPointError of steps that the GPU has left out."""
        self.count_update()
        self.take_answers(tell=tell)
        self.engine.flush()
        if self.engine.infinite:
            self.engine.warn_of_infinity(stacklevel=3)

    def note_displacement(self) -> None:
        """Note that parameters have been set from outside, so that they are not where their slots place them."""
        if not self.unused:
            self.engine.displaced = self.engine.displaced | self.engine.placed(range(len(self.params)))

    def position_of(self, name: str) -> int:
        """Position of a parameter; ValueError if there is no parameter of that name."""
        with asking("name", name):
            if name not in self.params.names:
                there_are = ", ".join(map(repr, self.params.names))
                raise ValueError(f"there is no parameter {shown(name)}; there are {there_are}")
            return self.params.names.index(name)

    # Steps

    def buffers(self) -> list[FloatArray]:
        """Arrays for gradients, which are made when they are first asked for."""
        arrays = self.params.arrays
        with self.engine.lock:
            if self._buffers:
                return self._buffers
            self._buffers = self.params.zeros(arrays, [a.shape for a in arrays], [a.dtype for a in arrays])
        return self._buffers

    def filled_buffers(self) -> list[Any]:
        """The arrays for gradients; RuntimeError if they were never asked for, so that nobody can have filled them."""
        if not self._buffers:
            raise RuntimeError("step() without gradients takes opt.gradients, which nobody has filled yet")
        return self._buffers

    def step(self, gradients: list[Any], products: Sequence[Any] = (), from_outside: bool = False) -> None:
        """Step all parameters with gradients in their order; see `fastadagrad.engine.step.Stepping.step`.

        A run under way takes note of a step `from_outside`, at a user's call.

        Ctrl-C, or whatever a signal's handler raises, comes after the update or before it, mostly as it returns. The
        kernels' own count tells the two apart: a step that is made is counted, also if it raises.
        """
        engine = self.engine
        with engine.lock:
            if engine.busy or engine.callers:
                engine.begin_change("step")
            if engine.deferring is not None or self._untold is not None:
                self._take_answers(wait=False)
                self._tell()
            ledger = self.ledger
            steps = ledger.steps
            self._updates_before = before = engine.updates[0]
            engine.busy = True
            try:
                if not steps:
                    self._begin(counted_otherwise=True)
                try:
                    done = engine.stepping.step(gradients, steps, products)
                except OtherKind:
                    self._take_answers(wait=True)
                    self._tell()
                    steps = ledger.steps
                    done = engine.stepping.step(gradients, steps, products)
                if done:
                    ledger.steps = steps + 1
                    engine.changes += from_outside
                else:
                    ledger.skipped += 1
            except BaseException:
                if engine.updates[0] != before:
                    ledger.steps = steps + 1
                    engine.changes += from_outside
                raise
            finally:
                engine.busy = False
        if engine.infinite:
            engine.warn_of_infinity(stacklevel=3)

    def step_alone(
        self, name: str, stepping: Callable[[], Stepping], gradients: list[Any], products: list[Any]
    ) -> None:
        """Step one parameter, which counts its own steps, by a `Stepping` that is made, or brought up to date, here."""
        engine = self.engine
        with engine.lock:
            if engine.busy or engine.callers:
                engine.begin_change("an update")
            self.take_answers()
            ledger = self.ledger
            steps = ledger.updates.get(name, 0)
            self._updates_before, self._alone = engine.updates[0], name
            before = self._updates_before
            engine.busy = True
            try:
                self._begin(counted_otherwise=bool(ledger.steps))
                if stepping().step(gradients, steps, products):
                    ledger.updates[name] = steps + 1
                    engine.changes += 1
            except BaseException:
                if engine.updates[0] != before:
                    ledger.updates[name] = steps + 1
                    engine.changes += 1
                raise
            finally:
                engine.busy, self._alone = False, None
        if engine.infinite:
            engine.warn_of_infinity(stacklevel=3)

    def take_answers(self, wait: bool = True, tell: bool = True) -> None:
        """Count the deferred steps that the GPU has left out, and `tell` of them: FloatingPointError.

        Without `wait` they are those that the GPU has got to. In the midst of a step, as a signal's handler may ask,
        nothing is done: the next occasion comes.
        """
        with self.engine.lock:
            if not self.engine.busy:
                self._take_answers(wait)
                if tell:
                    self._tell()

    def _take_answers(self, wait: bool) -> None:
        if self.engine.deferring is None:
            return
        number, name, replayed = self.engine.stepping.left_out(self.engine.deferring, wait)
        self.ledger.steps -= number
        if self.conduct.nonfinite != "skip":
            if number or replayed:
                self._untold = self._untold or (number, name)
        elif number:
            self.ledger.skipped += number
            logger.info("%s skipped: the gradient of %r is not finite", plural(number, "step"), name)

    def _tell(self) -> None:
        """Raise FloatingPointError once, if steps have been left out; none, if they were those of a graph."""
        if self._untold is None:
            return
        (number, name), self._untold = self._untold, None
        where = f"step {self.ledger.steps + 1}, which was not made"
        if not number:
            where = "a replay of a captured step, which was not made, nor any replay after it"
        elif number > 1:
            where += f", nor {plural(number - 1, 'step')} after it"
        raise FloatingPointError(
            f"gradient of {name!r} must be finite, but held NaN or infinity in {where}: nothing was changed by them "
            "(nonfinite='skip' skips such steps, 'ignore' does not look)"
        )

    def count_update(self) -> None:
        """Count the step under way, if its update is done: a signal's handler may read all before the step returns."""
        engine = self.engine
        if engine.busy and engine.lock.acquire(blocking=False):
            if engine.busy and engine.updates[0] != self._updates_before:
                self._updates_before = engine.updates[0]
                if self._alone is None:
                    self.ledger.steps += 1
                else:
                    self.ledger.updates[self._alone] = self.ledger.updates.get(self._alone, 0) + 1
            engine.lock.release()

    def _begin(self, counted_otherwise: bool) -> None:
        """Before a step, copy parameters into slots that begin with them, if it is the first step of all.

        Raise ValueError if the method counts its steps, and some were `counted_otherwise`: `step` and `get_updates`
        count separately.
        """
        if self.unused:
            self.engine.state.refresh(self.engine.settings)
        elif counted_otherwise and any(trait(s.form, "timed") for s in self.engine.unsettled):
            raise ValueError(
                f"{self.rule.name.upper()} goes by the number of its steps, which step and get_updates count apart: "
                "use one of them, or reset() in between"
            )
