"""The optimizer's own memory: an accumulator for each parameter and, with momentum, a velocity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .hyper import Rule, Settings
from .kernels.motion import SLOTS
from .parameters import FloatArray, Parameters

CACHE_LINE = 64


def allocate(like: Sequence[FloatArray], shapes: Sequence[tuple[int, ...]]) -> list[FloatArray]:
    """Zeros of the given shapes and the dtypes of `like`, in one cache-aligned block of memory."""
    sizes = [int(np.prod(shape)) * a.itemsize for a, shape in zip(like, shapes, strict=True)]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // CACHE_LINE) * CACHE_LINE)
    block = np.zeros(starts[-1] + CACHE_LINE, np.uint8)
    shift = -block.ctypes.data % CACHE_LINE
    return [
        block[shift + start : shift + start + size].view(a.dtype).reshape(shape)
        for a, shape, start, size in zip(like, shapes, starts, sizes, strict=False)
    ]


def kind_of(name: str, array: FloatArray, settings: Settings) -> str:
    """Kind of accumulator of one parameter; ValueError where it has no meaning."""
    kind = settings.options.accumulator
    if kind == "row" and array.ndim == 0:
        raise ValueError(f"parameter {name!r} is 0-dimensional and has no rows: use accumulator='element'")
    return "element" if kind == "row" and array.ndim == 1 else kind


def accumulator_shape(array: FloatArray, kind: str) -> tuple[int, ...]:
    return {"element": array.shape, "row": array.shape[:1], "tensor": ()}[kind]


class State:
    """Slots by parameter name: arrays that steps write and nobody else."""

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self._rule, self._params = rule, params
        self._slots: dict[str, dict[str, FloatArray]] = {name: {} for name in params.names}

    def __getitem__(self, name: str) -> dict[str, FloatArray]:
        return self._slots[name]

    def arrays(self) -> list[FloatArray]:
        return [array for slots in self._slots.values() for array in slots.values()]

    def fit(self, settings: Sequence[Settings]) -> None:
        """Add the slots that the settings need."""
        chosen = [
            (name, array, s, accumulator_shape(array, kind_of(name, array, s)))
            for (name, array), s in zip(self._params, settings, strict=True)
            if not s.options.frozen
        ]
        for name, _, s, shape in chosen:
            present = self._slots[name].get("accumulator")
            if present is not None and present.shape != shape:
                raise ValueError(
                    f"accumulator={s.options.accumulator!r} does not fit the accumulator that {name!r} already has, "
                    f"of shape {present.shape}: choose it when the optimizer is made"
                )
        fresh = [(name, a, s, shape) for name, a, s, shape in chosen if "accumulator" not in self._slots[name]]
        blocks = allocate([a for _, a, _, _ in fresh], [shape for *_, shape in fresh])
        for (name, _, s, _), block in zip(fresh, blocks, strict=True):
            self._slots[name]["accumulator"] = block
            self._set_initial(block, s)
        moving = [(name, a) for name, a, s, _ in chosen if SLOTS[s.motion] and "velocity" not in self._slots[name]]
        blocks = allocate([a for _, a in moving], [a.shape for _, a in moving])
        for (name, _), block in zip(moving, blocks, strict=True):
            self._slots[name]["velocity"] = block

    def idle_velocities(self, settings: Sequence[Settings]) -> list[FloatArray]:
        """Velocities that the settings do not use: a plain step leaves none."""
        return [
            self._slots[name]["velocity"]
            for name, s in zip(self._params.names, settings, strict=True)
            if "velocity" in self._slots[name] and not SLOTS[s.motion] and not s.options.frozen
        ]

    def _set_initial(self, accumulator: FloatArray, settings: Settings) -> None:
        value = self._rule.initial(settings.own)["accumulator"]
        if value:
            accumulator[...] = value

    def reset(self, settings: Sequence[Settings]) -> None:
        """Back to the values before the first step."""
        for array in self.arrays():
            array[...] = 0
        for name, s in zip(self._params.names, settings, strict=True):
            if "accumulator" in self._slots[name]:
                self._set_initial(self._slots[name]["accumulator"], s)

    def view(self) -> Mapping[str, Mapping[str, FloatArray]]:
        """Read-only view for the user, always current."""

        def locked(array: FloatArray) -> FloatArray:
            view = array.view()
            view.flags.writeable = False
            return view

        return MappingProxyType(
            {
                name: MappingProxyType({slot: locked(a) for slot, a in slots.items()})
                for name, slots in self._slots.items()
            }
        )
