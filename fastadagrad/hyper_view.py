"""The hyperparameters of an optimizer as a user reads and sets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .hyper import refuse_unknown


class HyperView(Mapping[str, Any]):
    """The hyperparameters of an optimizer: read and set as attributes, or read as a mapping.

    Setting one changes it for good, from the next step on.
    """

    _read: Callable[[], dict[str, Any]]
    _change: Callable[[Mapping[str, Any]], None]

    def __init__(self, read: Callable[[], dict[str, Any]], change: Callable[[Mapping[str, Any]], None]) -> None:
        object.__setattr__(self, "_read", read)
        object.__setattr__(self, "_change", change)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._read():
            return self._read()[name]
        raise AttributeError(f"no hyperparameter {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.update(**{name: value})

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.update(**{name: value})

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"HyperView({', '.join(f'{k}={v!r}' for k, v in self._read().items())})"

    def update(self, **hyper: Any) -> None:
        """Change several at once; none is changed if one is refused."""
        self._change(hyper)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy holds the values of now, and is of no optimizer any more."""
        return _detached, (dict(self),)


def _detached(values: dict[str, Any]) -> HyperView:
    def change(changes: Mapping[str, Any]) -> None:
        refuse_unknown(changes, values, "a copy of hyperparameters")
        values.update(changes)

    return HyperView(lambda: values, change)
