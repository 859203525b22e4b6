"""Objects that are given step after step: which of them have to be read again."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .arrays import LEGACY_STREAM, DeviceArray


class Seen:
    """The arrays that were given the last time, which need not be read again where the same objects are given.

    An object keeps its memory as long as it lives, but for tensors of torch, each of which is asked for its address.
    The stream that arrays name may be another one each time: one array of each type is asked.
    """

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._looks: list[Callable[[], bool]] = [lambda: False]

    def note(self, objects: list[Any], arrays: Sequence[DeviceArray]) -> None:
        """Note the objects that have been read, and what they were read as."""
        self._objects, self._looks = objects, []
        by_type = {type(each): (each, array) for each, array in zip(objects, arrays, strict=True)}
        for kind, (each, array) in by_type.items():
            if issubclass(kind, DeviceArray):
                continue
            if _is_of_torch(each):
                tensors = [(x, a.address) for x, a in zip(objects, arrays, strict=True) if type(x) is kind]
                self._looks.append(_look_at_tensors(tensors, array.stream))
            else:
                self._looks.append(_look_at(each))

    def same(self, objects: list[Any]) -> bool:
        """Whether these are the objects of the last time, in the same memory and on the same streams."""
        if len(objects) != len(self._objects) or not all(map(operator.is_, objects, self._objects)):
            return False
        return all(look() for look in self._looks)


def _is_of_torch(each: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(each, torch.Tensor)


def _look_at_tensors(tensors: list[tuple[Any, int]], stream: int | None) -> Callable[[], bool]:
    """A function that says whether tensors of torch have these addresses still, and its current stream is the same."""
    torch, device = sys.modules["torch"], tensors[0][0].device

    def look() -> bool:
        current = torch.cuda.current_stream(device).cuda_stream or LEGACY_STREAM
        return current == stream and all(tensor.data_ptr() == address for tensor, address in tensors)

    return look


def _look_at(each: Any) -> Callable[[], bool]:
    """A function that says whether an object says the same of its memory as now; False if it says nothing."""
    said = getattr(each, "__cuda_array_interface__", None)

    def look() -> bool:
        try:
            return said is not None and bool(each.__cuda_array_interface__ == said)
        except Exception:  # which are told in words where the object is read again
            return False

    return look
