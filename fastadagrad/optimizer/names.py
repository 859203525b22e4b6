"""Names of an optimizer's attributes: those that it has not, but a keyword is called so, are told where that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..engine.options import Rule, hyper_names, of_other_methods
from ..support.attributes import OF_OTHERS, RUNNING, Misplaced, OfOthers, misplaced, places_for, refuse_misplaced


class Named:
    """Refuses to be given an attribute that means a keyword, as nothing would go by it."""

    rule: ClassVar[Rule]
    _making: ClassVar[tuple[str, ...]]  # arguments, beside the loss, the parameters and hyperparameters
    _places: ClassVar[Mapping[str, str]] = {}  # of keywords that are no attributes

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "rule" in vars(cls):
            making, running = ("loss", *cls._making), ("train", "valid", *RUNNING)
            cls._places = places_for(cls.__name__, hyper_names(cls.rule), making, running)
            for name, place in cls._places.items():
                if not hasattr(cls, name):
                    setattr(cls, name, Misplaced(name, place))
            for name in {*OF_OTHERS} - {*cls._places}:
                setattr(cls, name, OfOthers(name))

    @classmethod
    def _what_is_called(cls, name: str) -> str | None:
        """Where there is what another library calls so, in words."""
        return misplaced(name, cls._places) or of_other_methods(name)

    if not TYPE_CHECKING:  # who know the attributes that there are, and refuse to set others

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "hyper":
                raise AttributeError(
                    "hyper cannot be replaced: set what it holds, opt.hyper.learning_rate = 0.1, or several at once, "
                    "opt.hyper.update(learning_rate=0.1, l1=1e-5)"
                )
            if not (name.startswith("_") or hasattr(type(self), name)):
                refuse_misplaced(self, name, self._places, meant=of_other_methods(name))
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        others = {*self._places, *OF_OTHERS}
        return sorted(name for name in super().__dir__() if name not in others or hasattr(self, name))
