"""The hyperparameters of an optimizer as a user reads and sets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ..engine.options import refuse_unknown
from ..support.hints import KEYWORDS, hint


class Owner(Protocol):
    """Who has hyperparameters."""

    def read_hyper(self) -> dict[str, Any]:
        """All of them, as they are in force."""

    def change_hyper(self, changes: Mapping[str, Any]) -> None:
        """Change some, or none if one is refused."""

    def set_hyper(self, name: str, value: Any) -> None:
        """Change one."""


class HyperView(Mapping[str, Any]):
    """The hyperparameters of an optimizer: read and set as attributes, or read as a mapping.

    It shows what is in force, in an iteration those of the iteration too. Setting one changes it for good, from the
    next step on.
    """

    _owner: Owner

    def __init__(self, owner: Owner) -> None:
        self.__dict__["_owner"] = owner

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            values = self._owner.read_hyper()
            if name in values:
                return values[name]
            meant = hint(name, values, KEYWORDS)
            raise AttributeError(f"no hyperparameter {name!r}" + (f": {meant}" if meant else ""))
        raise AttributeError(f"no hyperparameter {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self._owner.set_hyper(name, value)

    def __getitem__(self, name: str) -> Any:
        return self._owner.read_hyper()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._owner.set_hyper(name, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner.read_hyper())

    def __len__(self) -> int:
        return len(self._owner.read_hyper())

    def __repr__(self) -> str:
        return f"HyperView({', '.join(f'{k}={v!r}' for k, v in self._owner.read_hyper().items())})"

    def update(self, **hyper: Any) -> None:
        """Change several at once; none is changed if one is refused."""
        self._owner.change_hyper(hyper)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy holds the values of now, and is of no optimizer any more."""
        return _detached, (dict(self),)


class _Nobody:
    """Hyperparameters that are of no optimizer any more."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def read_hyper(self) -> dict[str, Any]:
        return self._values

    def change_hyper(self, changes: Mapping[str, Any]) -> None:
        refuse_unknown(changes, self._values, "a copy of hyperparameters")
        self._values.update(changes)

    def set_hyper(self, name: str, value: Any) -> None:
        self.change_hyper({name: value})


def _detached(values: dict[str, Any]) -> HyperView:
    return HyperView(_Nobody(values))
