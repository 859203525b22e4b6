"""Mappings that their readers cannot change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class ReadOnly(Mapping[str, Any]):
    """A read-only mapping of names to values that, unlike `types.MappingProxyType`, can be copied and pickled.

    A deep copy has copies of arrays, which are no longer read-only.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values!r})"

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self._values | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self._values

    def copy(self) -> dict[str, Any]:
        """A dict with the same values."""
        return dict(self._values)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._values,)
