"""The one place that chooses a driver, and the steps of parameters in as few launches as can be."""

from __future__ import annotations

import math
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any, cast

import numba
import numpy as np
from numpy.typing import NDArray

from .hyper import Conduct, Rule, Settings, cast_scalars
from .interrupts import whole
from .kernels import memory, table
from .kernels.drivers import FINITE, HEADERS, NORMS, UPDATE, make_driver
from .kernels.motion import SLOTS
from .log import compilation, logger
from .parameters import DTYPES, Parameters, gradient_refusal, guard_of, interval
from .state import State, accumulator_shape, kind_of

PARALLEL_FROM = 1 << 17  # elements; below, waking a second thread costs more than it saves

_HEADERS_READABLE = memory.supported()
_one_launch = threading.Lock()  # the workqueue threading layer aborts the process if two threads launch at once
_forked = False


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _note_fork() -> None:
    """Make the locks anew: in the parent another thread, which is not here, may have held them."""
    global _forked, _one_launch
    _forked, _one_launch = True, threading.Lock()
    for engine in _engines:
        engine.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def usable_threads(wanted: int | None) -> int:
    """All threads that Numba has, or fewer if asked; one in a forked process, where OpenMP would abort."""
    available: int = vars(numba.config)["NUMBA_NUM_THREADS"]
    return 1 if _forked else min(wanted or available, available)


def norm_scale(limit: NDArray[np.float64] | float, squares: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Factor that brings a gradient with this sum of squares to at most a norm of `limit`."""
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, limit / np.sqrt(squares))


class Bucket:
    """Parameters of one dtype and variant, stepped in one launch."""

    def __init__(
        self, rule: Rule, params: Parameters, state: State, members: dict[int, Settings], kind: str, lean: bool
    ) -> None:
        self._rule, self._params = rule, params
        settings = list(members.values())
        distinct = {id(s): s for s in settings}.values()
        self._alike = [(s, [row for row, other in enumerate(settings) if other is s]) for s in distinct]
        self.positions = list(members)
        arrays = [params.arrays[i] for i in members]
        dtype = np.dtype(arrays[0].dtype.type)  # the one object that nearly all arrays of this dtype share
        motion = settings[0].motion
        self.clips = settings[0].norm_limit > 0
        shapes = [accumulator_shape(a, kind) for a in arrays]
        widths = [a.size // max(1, math.prod(shape)) for a, shape in zip(arrays, shapes, strict=True)]
        self._table = table.make_table([a.size for a in arrays], widths, dtype)
        for row, i, array in zip(self._table, members, arrays, strict=False):
            slots = state[params.names[i]]
            row[table.POSITION], row[table.OBJECT], row[table.PARAMETER] = i, id(array), interval(array)[0]
            row[table.ACCUMULATOR] = interval(slots["accumulator"])[0]
            for slot in SLOTS[motion]:
                row[table.VELOCITY] = interval(slots[slot])[0]
        self._scalars = np.zeros((len(members), len(rule.Scalars._fields)), dtype)
        self._scratch = np.zeros(max(1, int(self._table[-1, table.FIRST_BLOCK])))
        self.sums = np.zeros(len(members))
        self._norm_limits = np.array([s.norm_limit for s in settings])
        self.large = int(self._table[:-1, table.SIZE].sum()) >= PARALLEL_FROM
        self._driver = make_driver(cast(Any, rule), motion, kind, lean, dtype)
        self._label = f"the {dtype} {rule.name} kernel ({motion}, {kind})"
        self._ready: set[bool] = set()

    def set_scalars(self, t: int, asked: dict[int, float]) -> None:
        for settings, rows in self._alike:
            self._scalars[rows] = cast_scalars(self._rule, settings, t, self._scalars.dtype, asked)

    def set_gradient_scale(self, scale: NDArray[np.float64] | float) -> None:
        self._scalars[:, self._rule.Scalars._fields.index("gradient_scale")] = scale

    def clip_each(self) -> None:
        """Scale each gradient by its own norm."""
        self.set_gradient_scale(norm_scale(self._norm_limits, self.sums))

    def take_infinite(self) -> list[int]:
        """Positions whose accumulators the last steps have made infinite."""
        marks = self._table[:-1, table.INFINITE]
        found = [i for i, mark in zip(self.positions, marks.tolist(), strict=True) if mark]
        marks[...] = 0
        return found

    def run(self, work: int, gradients: list[Any], guard: NDArray[np.int64], threads: int) -> Any:
        """Call the driver: 0, a negative code for `table.decode`, or 1 if accumulators became infinite."""
        parallel = threads > 1 and self.large
        if parallel not in self._ready:
            self._ready.add(parallel)
            with compilation(self._driver[parallel], self._label):
                return self.run(work, gradients, guard, threads)
        rest = (id(gradients), self._table, self._scalars, guard, self._scratch, self.sums)
        if parallel:
            with _one_launch:
                return self._driver.threaded(work, threads, *rest)
        return self._driver.serial(work, *rest)

    def locate_by_hand(self, gradients: list[Any], guard: NDArray[np.int64]) -> None:
        """Check the gradients one by one and note their addresses: for what compiled code refuses or cannot read."""
        self._refuse_changed_parameters()
        for row, i in zip(self._table, self.positions, strict=False):
            error = gradient_refusal(self._params.names[i], gradients[i], self._params.arrays[i], guard)
            if error:
                raise error
            row[table.GRADIENT] = interval(gradients[i])[0]

    def _refuse_changed_parameters(self) -> None:
        for row, i in zip(self._table, self.positions, strict=False):
            array = self._params.arrays[i]
            moved = interval(array)[0] != row[table.PARAMETER] or array.size != row[table.SIZE]
            if moved or not array.flags.writeable:
                raise ValueError(
                    f"parameter {self._params.names[i]!r} was moved in memory, resized or made read-only since it was "
                    "registered: make a new optimizer"
                )


class Engine:
    """State and hyperparameters of all parameters, and the plan by which they step."""

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self.rule, self.params, self.state = rule, params, State(rule, params)
        self.infinite: list[str] = []  # parameters whose accumulator has become infinite, not told yet
        self.warned: set[str] = set()  # and those told
        self.lock = threading.RLock()
        _engines.add(self)

    def check(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> None:
        """Refuse hyperparameters that do not fit one another, the state or a dtype."""
        if conduct.max_global_norm and any(s.norm_limit or s.options.max_gradient_elem for s in settings):
            raise ValueError("max_global_norm cannot be combined with max_gradient_elem or max_gradient_norm")
        self.state.check(settings, unused)
        dtypes = [array.dtype for array in self.params.arrays]
        for s, dtype in {(id(s), d): (s, d) for s, d in zip(settings, dtypes, strict=True)}.values():
            if not s.scheduled:
                cast_scalars(self.rule, s, 0, dtype)
            if self.state.initial_accumulator(s) > float(np.finfo(dtype).max):
                raise ValueError(f"initial_accumulator_value is too large for {dtype}")

    def configure(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> None:
        """Take new hyperparameters; nothing changes if they are refused. `unused`: no step has used the state."""
        self.check(settings, conduct, unused)
        self.state.fit(settings, unused)
        self.settings, self.conduct = list(settings), conduct
        self.frozen = frozenset(i for i, s in enumerate(settings) if s.options.frozen)
        self.guard = guard_of([*self.params.arrays, *self.state.arrays()])
        self.plan = Plan(self, range(len(settings)))

    def reset(self) -> None:
        """The state as before the first step."""
        self.state.reset(self.settings)
        self.warned.clear()

    def plan_one(self, position: int) -> Plan:
        """Plan for one parameter alone."""
        if self.conduct.max_global_norm:
            raise ValueError("max_global_norm needs the gradients of all parameters at once: call step")
        return Plan(self, [position])

    def warn_of_infinity(self, stacklevel: int) -> None:
        """Tell of accumulators that have become infinite, each once."""
        names, self.infinite = self.infinite, []
        for name in names:
            warnings.warn(
                f"the accumulator of {name!r} has become infinite (a squared gradient or their sum overflows its "
                "dtype): those elements no longer move; scale the loss down, clip, or use float64",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )


class Plan:
    """How a set of parameters is stepped: made when hyperparameters change, used every step."""

    def __init__(self, engine: Engine, positions: Sequence[int]) -> None:
        conduct, settings = engine.conduct, [engine.settings[i] for i in positions]
        self._engine, self._names = engine, engine.params.names
        self._global_limit, self._nonfinite = conduct.max_global_norm, conduct.nonfinite
        self._scheduled = any(s.scheduled for s in settings)
        self._clips = self._global_limit > 0 or any(s.norm_limit for s in settings)
        self._checks = 0 if self._nonfinite == "ignore" else FINITE
        self._guard = engine.guard
        self._threads = usable_threads(conduct.threads)
        self._idle_velocities = engine.state.idle_velocities(engine.settings, positions)
        self._buckets = self._make_buckets(engine, positions)
        if not self._scheduled:
            self._set_scalars(0)

    def _make_buckets(self, engine: Engine, positions: Sequence[int]) -> list[Bucket]:
        groups: dict[tuple[Any, ...], dict[int, Settings]] = {}
        for i in positions:
            settings, name, array = engine.settings[i], engine.params.names[i], engine.params.arrays[i]
            if not settings.options.frozen:
                kind = kind_of(name, array, settings)
                lean = kind == "element" and settings.lean and not self._global_limit
                clips = settings.norm_limit > 0
                groups.setdefault((kind, lean, settings.motion, array.dtype, clips), {})[i] = settings
        return [
            Bucket(engine.rule, engine.params, engine.state, members, kind, lean)
            for (kind, lean, *_), members in groups.items()
        ]

    def _set_scalars(self, t: int) -> None:
        asked: dict[int, float] = {}
        for bucket in self._buckets:
            bucket.set_scalars(t, asked)

    def step(self, gradients: list[Any], t: int) -> bool:
        """Step t with a list of gradients, one a parameter; False if skipped for a non-finite gradient.

        Raises
        ------
        TypeError, ValueError, FloatingPointError
            Before anything is written.
        """
        if self._scheduled:
            self._set_scalars(t)
        if len(self._buckets) == 1 and not self._clips:
            done = self._run(self._buckets[0], HEADERS | self._checks | UPDATE, gradients)
        else:
            done = self._step_in_phases(gradients)
        if done and self._idle_velocities:
            for velocity in self._idle_velocities:
                velocity[...] = 0
            self._idle_velocities = []
        return done

    def _step_in_phases(self, gradients: list[Any]) -> bool:
        """Check all gradients before the first is used."""
        for bucket in self._buckets:
            norms = NORMS if bucket.clips or self._global_limit else 0
            if not self._run(bucket, HEADERS | self._checks | norms, gradients):
                return False
        if self._clips and not self._set_clipping():
            return False
        with whole():
            for bucket in self._buckets:
                self._run(bucket, UPDATE, gradients)
        return True

    def _run(self, bucket: Bucket, work: int, gradients: list[Any]) -> bool:
        threads = 1 if _forked else self._threads
        code = 0
        by_hand = bool(work & HEADERS) and not _HEADERS_READABLE
        if not by_hand:
            code = bucket.run(work, gradients, self._guard, threads)
            if code == 0:
                return True
            by_hand = code < 0 and table.decode(code)[1] != table.NON_FINITE
        if by_hand:
            bucket.locate_by_hand(gradients, self._guard)
            code = bucket.run(work & ~HEADERS, gradients, self._guard, threads)
        if code > 0 and self._checks:
            self._note_infinity(bucket)
        return code >= 0 or self._refuse_non_finite(bucket.positions[table.decode(code)[0]])

    def _set_clipping(self) -> bool:
        """Scale of every gradient from its norm; False if the step is to be skipped."""
        if not self._global_limit:
            for bucket in self._buckets:
                if bucket.clips:
                    bucket.clip_each()
            return True
        squares = {i: x for b in self._buckets for i, x in zip(b.positions, b.sums.tolist(), strict=True)}
        total = 0.0
        for i in sorted(squares):
            total += squares[i]
        if self._checks and not math.isfinite(total):
            return self._refuse_non_finite(max(squares, key=squares.__getitem__))
        for bucket in self._buckets:
            bucket.set_gradient_scale(norm_scale(self._global_limit, total))
        return True

    def _refuse_non_finite(self, position: int) -> bool:
        name = self._names[position]
        if self._nonfinite == "raise":
            raise FloatingPointError(
                f"gradient of {name!r} must be finite, but holds NaN or infinity, or its norm overflows; "
                "nothing was changed (nonfinite='skip' skips such steps, 'ignore' does not look)"
            )
        logger.info("step skipped: the gradient of %r is not finite", name)
        return False

    def _note_infinity(self, bucket: Bucket) -> None:
        for i in bucket.take_infinite():
            if self._names[i] not in self._engine.warned:
                self._engine.warned.add(self._names[i])
                self._engine.infinite.append(self._names[i])


def every_driver(rule: Rule) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what there is to compile for a method: a label, and a function that compiles it."""
    kinds = [("element", True), ("element", False), ("row", False), ("tensor", False)]
    for dtype in DTYPES:
        for motion, (kind, lean) in product(SLOTS, kinds):
            label = f"{dtype} {rule.name}, {motion}, {kind}{'' if lean or kind != 'element' else ' with options'}"
            yield label, partial(_compile, rule, motion, kind, lean, dtype)


def _compile(rule: Rule, motion: str, kind: str, lean: bool, dtype: np.dtype[Any]) -> None:
    driver, nothing = make_driver(cast(Any, rule), motion, kind, lean, dtype), np.zeros(0)
    arguments = (
        id([]),
        table.make_table([], [], dtype),
        np.zeros((0, len(rule.Scalars._fields)), dtype),
        guard_of([]),
        nothing,
        nothing,
    )
    driver.serial(0, *arguments)
    driver.threaded(0, 1, *arguments)
