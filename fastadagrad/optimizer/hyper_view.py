"""The hyperparameters of an optimizer as a user reads and sets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from ..engine.options import Hyper, of_other_methods, refuse_unknown
from ..engine.typed_keywords import HyperAttributes
from ..support.hints import KEYWORDS, hint


class Owner(Protocol):
    """An object that has hyperparameters, which a `HyperView` shows."""

    def read_hyper(self) -> dict[str, Any]:
        """All hyperparameters that are in force, by name."""

    def change_hyper(self, changes: Mapping[str, Any]) -> None:
        """Change some hyperparameters; none is changed if one is refused."""

    def set_hyper(self, name: str, value: Any) -> None:
        """Change one hyperparameter."""


def _lacking(name: object, values: Mapping[str, Any]) -> str:
    """The message for a name that is none of these, with what is probably meant."""
    meant = hint(name, values, KEYWORDS) or of_other_methods(name)
    return f"no hyperparameter {name!r}" + (f": {meant}" if meant else "")


class HyperView(HyperAttributes, Mapping[str, Any]):
    """The hyperparameters of an optimizer: read and set as attributes, or read as a mapping.

    The view shows the values in force; during an iteration these include the iteration's own. Setting a hyperparameter
    changes it for good, from the next step on. A refused value raises TypeError or ValueError, as in the optimizer's
    constructor. An unknown name raises AttributeError when it is read, and TypeError when it is set.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> opt = fa.ADAGRAD(params=np.ones(2), learning_rate=0.5)
    >>> opt.hyper.learning_rate *= 0.5
    >>> opt.hyper.learning_rate, opt.hyper["momentum"], "patience" in opt.hyper
    (0.25, 0.0, True)
    """

    _owner: Owner

    def __init__(self, owner: Owner) -> None:
        self.__dict__["_owner"] = owner

    if not TYPE_CHECKING:  # who know the names, and no others

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_"):
                values = self._owner.read_hyper()
                if name in values:
                    return values[name]
                raise AttributeError(_lacking(name, values))
            raise AttributeError(f"no hyperparameter {name!r}")

        def __setattr__(self, name: str, value: Any) -> None:
            self._owner.set_hyper(name, value)

    def __getitem__(self, name: str) -> Any:
        values = self._owner.read_hyper()
        if name not in values:
            raise KeyError(_lacking(name, values))
        return values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._owner.set_hyper(name, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner.read_hyper())

    def __len__(self) -> int:
        return len(self._owner.read_hyper())

    def __repr__(self) -> str:
        return f"HyperView({', '.join(f'{k}={v!r}' for k, v in self._owner.read_hyper().items())})"

    def update(self, **hyper: Unpack[Hyper]) -> None:
        """Change several at once; none is changed if one is refused.

        Parameters
        ----------
        **hyper : float, bool, str, callable or dict
            Hyperparameters by name, as the optimizer's constructor takes them.

        Raises
        ------
        TypeError, ValueError
            If there is no such hyperparameter, or it has a value that makes no sense.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ADAGRAD(params={"w": np.ones(2), "b": np.zeros(1)})
        >>> opt.hyper.update(learning_rate=0.5, groups={"b": {"frozen": True}})
        >>> opt.hyper.learning_rate, opt.hyper.groups
        (0.5, {'b': {'frozen': True}})
        """
        self._owner.change_hyper(hyper)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles hold the present values, and belong to no optimizer."""
        return _detached, (dict(self),)


class _Nobody:
    """The owner of copied hyperparameters, which belong to no optimizer."""

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
