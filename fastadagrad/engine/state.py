"""The optimizer's own memory: for each parameter the slots of its method and, with momentum, a velocity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..kernels.memory.storage import AS_COMPUTED, Storage, computed_in, numbers_in, storage_of, storages_of
from ..kernels.rules import PARAMETER, trait
from ..support.read_only import ReadOnly
from .options import Rule, Settings
from .parameters import FloatArray, Parameters


def kind_of(name: str, array: FloatArray, settings: Settings) -> str:
    """Kind of accumulator of one parameter; ValueError where it has no meaning."""
    kind = settings.options.accumulator
    if kind == "row" and array.ndim == 0:
        raise ValueError(f"parameter {name!r} is 0-dimensional and has no rows: use accumulator='element'")
    return "element" if kind == "row" and array.ndim == 1 else kind


def accumulator_shape(array: FloatArray, kind: str) -> tuple[int, ...]:
    """Shape of the first slot."""
    return {"element": array.shape, "row": array.shape[:1], "tensor": ()}[kind]


def slot_shapes(array: FloatArray, kind: str, slots: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of slots; `kind` says which elements share the first."""
    return {slot: array.shape if i else accumulator_shape(array, kind) for i, slot in enumerate(slots)}


def begin(slot: Any, value: float | str, parameter: FloatArray, storage: Storage = AS_COMPUTED) -> None:
    """Fill a slot with its initial value."""
    with np.errstate(all="ignore"):
        slot[...] = storage.kept(numbers_in(parameter) if value == PARAMETER else value)


def begin_all(slots: Iterable[Any], settings: Settings, parameter: FloatArray) -> None:
    """Fill the method's own slots of a parameter, which come first, with their initial values; a velocity stays 0."""
    storages = storages_of(settings.form, settings.form.slots)
    for slot, value, storage in zip(slots, settings.initial(), storages, strict=False):
        begin(slot, value, parameter, storage)


def fresh_slots(parameter: FloatArray, settings: Settings) -> tuple[FloatArray, ...]:
    """New slots of a single parameter, with initial values; a slot that all elements share has one element."""
    shapes = slot_shapes(parameter, kind_of("p", parameter, settings), settings.slots)
    storages = storages_of(settings.form, settings.slots)
    slots = tuple(
        np.zeros(shape or (1,), storage.memory(computed_in(parameter.dtype)))
        for shape, storage in zip(shapes.values(), storages, strict=True)
    )
    begin_all(slots, settings, parameter)
    return slots


class _Wanted(NamedTuple):
    """A slot that settings need."""

    name: str  # of the parameter
    parameter: FloatArray
    slot: str
    shape: tuple[int, ...]
    value: float | str  # initial value
    storage: Storage


class State:
    """Slots by parameter name: arrays that only steps write."""

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self.rule, self.params = rule, params
        self.slots: dict[str, dict[str, FloatArray]] = {name: {} for name in params.names}
        self.late: dict[str, int] = {}  # steps before the slots of a parameter were made, if it was frozen at first
        self.random: np.random.Generator | None = None  # of a method that draws random numbers
        self.updates = np.zeros(1, np.int64)  # how often kernels have updated parameters, which they count themselves
        self.in_flux = False  # whether a step is writing in several parts, and not all have been written
        self.learned = self._ignorance()  # numbers that a method which measures keeps from step to step

    def _ignorance(self) -> tuple[float, ...]:
        return (0.0,) * len(trait(self.rule, "learned"))

    def __getitem__(self, name: str) -> dict[str, FloatArray]:
        return self.slots[name]

    def arrays(self) -> list[FloatArray]:
        return [array for slots in self.slots.values() for array in slots.values()]

    def _active(self, settings: Sequence[Settings]) -> list[tuple[str, FloatArray, Settings]]:
        return [
            (name, array, s) for (name, array), s in zip(self.params, settings, strict=True) if not s.options.frozen
        ]

    def check(self, settings: Sequence[Settings], unused: bool) -> None:
        """Raise ValueError if slots that steps have used would need another shape, or new ones would begin midway."""
        for name, array, s in self._active(settings):
            self._check_storages(name, array, s)
            shapes = slot_shapes(array, kind_of(name, array, s), s.form.slots)
            present = {} if unused else self.slots[name]
            for slot, shape in shapes.items():
                if slot in present and present[slot].shape != shape:
                    raise ValueError(
                        f"accumulator={s.options.accumulator!r} does not fit the {slot} that {name!r} already has, "
                        f"of shape {present[slot].shape}: choose it when the optimizer is made, or reset() first"
                    )
            if present and {*shapes} != {*present} - {"velocity"}:
                raise ValueError(
                    f"{name!r} has {', '.join(present)} so far, and now would need {', '.join(shapes)} from its first "
                    "step on: choose the form of the method when the optimizer is made, or reset() first"
                )

    def _check_storages(self, name: str, array: FloatArray, settings: Settings) -> None:
        for slot, storage in trait(settings.form, "stored").items():
            if not self.params.place.takes_storages:
                raise ValueError(
                    f"the rule keeps the {slot} of {name!r} in another dtype than the parameter's, which works for "
                    "arrays of the host only: leave `stored` out of the rule, or move the parameter there"
                )
            try:
                storage.memory(computed_in(array.dtype))
            except TypeError as error:
                raise TypeError(f"the {slot} of {name!r}: {error}") from None

    def fit(self, settings: Sequence[Settings], steps: int, unused: bool) -> None:
        """Add the slots that the settings need; slots that no step has used are made anew where settings differ.

        `slots` and `late` are replaced by new dicts once all slots are there, so that a failure changes nothing.
        """
        slots = {name: dict(own) for name, own in self.slots.items()}
        wanted: list[_Wanted] = []
        for name, array, s in self._active(settings):
            initial = dict(zip(s.form.slots, s.initial(), strict=True))
            for slot, shape in slot_shapes(array, kind_of(name, array, s), s.slots).items():
                asked = _Wanted(name, array, slot, shape, initial.get(slot, 0.0), storage_of(s.form, slot))
                if slot not in slots[name] or (unused and self._differs(asked)):
                    wanted.append(asked)
            if unused:
                slots[name] = {slot: a for slot, a in slots[name].items() if slot in s.known_slots}
        arrays = [asked.parameter for asked in wanted]
        dtypes = [asked.storage.memory(computed_in(asked.parameter.dtype)) for asked in wanted]
        blocks = self.params.zeros(arrays, [asked.shape for asked in wanted], dtypes)
        for asked, block in zip(wanted, blocks, strict=True):
            slots[asked.name][asked.slot] = block
            if asked.value:
                begin(block, asked.value, asked.parameter, asked.storage)
        late = {asked.name: steps for asked in wanted if asked.slot != "velocity"}
        self.slots, self.late = slots, {} if unused else {**self.late, **late}

    def _differs(self, asked: _Wanted) -> bool:
        """Whether an unused slot that is there differs from the one that the settings need."""
        present = self.slots[asked.name][asked.slot]
        if present.shape != asked.shape or asked.value == PARAMETER:
            return True
        with np.errstate(all="ignore"):
            value = present.dtype.type(asked.storage.kept(asked.value))
        return bool(present.size and self.params.place.first(present) != value)

    def refresh(self, settings: Sequence[Settings]) -> None:
        """Copy the parameters, before the first step, into the slots whose initial values they are."""
        for name, array, s in self._active(settings):
            for slot, value in zip(s.form.slots, s.initial(), strict=True):
                if value == PARAMETER:
                    begin(self.slots[name][slot], value, array, storage_of(s.form, slot))

    def slot_layout(self, name: str, slot: str, settings: Settings) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype that a slot has under these settings, whether it is there or not."""
        array: FloatArray = dict(self.params)[name]
        shapes = slot_shapes(array, kind_of(name, array, settings), settings.form.slots)
        return shapes.get(slot, array.shape), storage_of(settings.form, slot).memory(computed_in(array.dtype))

    def add(self, wanted: Mapping[tuple[str, str], Any]) -> None:
        """Add slots of zeros with the shapes and dtypes of these arrays, which are given by parameter and slot name.

        `slots` is replaced by a new dict.
        """
        parameters = dict(self.params)
        missing = [(name, slot) for name, slot in wanted if slot not in self.slots[name]]
        like = [wanted[key] for key in missing]
        arrays = [parameters[name] for name, _ in missing]
        blocks = self.params.zeros(arrays, [a.shape for a in like], [a.dtype for a in like])
        slots = {name: dict(own) for name, own in self.slots.items()}
        for (name, slot), block in zip(missing, blocks, strict=True):
            slots[name][slot] = block
        self.slots = slots

    def idle_velocities(self, settings: Sequence[Settings], positions: Sequence[int]) -> list[FloatArray]:
        """Velocities that the settings do not use, and that a plain step therefore sets to 0."""
        idle = [i for i in positions if "velocity" not in settings[i].slots and not settings[i].options.frozen]
        slots = [self.slots[self.params.names[i]] for i in idle]
        return [each["velocity"] for each in slots if "velocity" in each]

    def reset(self, settings: Sequence[Settings]) -> None:
        """Set all slots, and what the method has learned, back to the values before the first step."""
        self.learned, self.late = self._ignorance(), {}
        for (name, array), s in zip(self.params, settings, strict=True):
            self.begin(name, array, s)

    def begin(self, name: str, parameter: FloatArray, settings: Settings) -> None:
        """Fill a parameter's slots with their initial values."""
        initial = dict(zip(settings.form.slots, settings.initial(), strict=True))
        for slot, own in self.slots[name].items():
            begin(own, initial.get(slot, 0.0), parameter, storage_of(settings.form, slot))

    def view(self) -> Mapping[str, Mapping[str, FloatArray]]:
        """Read-only views of the slots that there are now."""
        read_only = self.params.place.read_only
        return ReadOnly(
            {name: ReadOnly({slot: read_only(a) for slot, a in slots.items()}) for name, slots in self.slots.items()}
        )
