"""Errors for keywords that users set or read as attributes of an object, where they would have no effect.

The error says where the keyword belongs. Places are a dict from keywords to texts, in which {} stands for the keyword.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from .hints import KEYWORDS, Foreign, meant_by

Places = Mapping[str, str]

# Keywords beside hyperparameters: of an optimizer's constructor, of its iterate and minimize, and of Datasets alone.
MAKING = ("inputs", "updates", "monitors", "monitor_gradients", "gradient", "comm", "reduction")
RUNNING: tuple[str, ...] = (
    *("max_updates", "max_epochs", "batch_size", "train_batches", "valid_batches", "rng", "progress", "touches"),
    *("checkpoint", "every", "keep", "resume"),
)
TAKEN_BY_A_RUN = "iterate and minimize take it"
TAKEN_WHEN_MADE = "it is given when the optimizer is made"
TAKEN_BY_DATASETS = "a Dataset takes it, fastadagrad.Dataset(..., {}=...)"
# Spelt as other libraries have them; `hints` knows what they mean, and other spellings.
OF_OTHERS: tuple[str, ...] = (
    *("lr", "eta", "eta0", "step_size", "stepsize", "eps", "epsilon", "alpha", "mu", "rho", "rms", "rms_decay"),
    *("beta", "betas", "beta1", "beta2", "beta_1", "beta_2", "etas", "step_sizes", "decay", "use_nesterov"),
    *("clipnorm", "clipvalue", "global_clipnorm", "max_grad_norm", "max_norm", "epochs", "seed", "random_state"),
)
OF_DATASETS = ("iteration_size", "axis", "shuffle")


class Misplaced:
    """A descriptor for an attribute that does not exist, as its name is a keyword's; the error says where that belongs.

    Unlike `__getattr__`, it does not make a class slower at other attributes.
    """

    def __init__(self, name: str, place: str) -> None:
        self._name, self._place = name, place.format(name)

    def __get__(self, instance: Any, owner: type) -> NoReturn:
        message = f"{owner.__name__} has no attribute {self._name!r}: it is {self._place}"
        raise AttributeError(message, name=self._name, obj=owner if instance is None else instance)


class OfOthers:
    """A name that other libraries have for a keyword, as an attribute: there is none, and the error says where to look.

    It asks `_what_is_called`, of the class of its owner, for the message once somebody has used the name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> NoReturn:
        meant = owner._what_is_called(self._name)
        message = f"{owner.__name__} has no attribute {self._name!r}" + (f": {meant}" if meant else "")
        raise AttributeError(message, name=self._name, obj=owner if instance is None else instance)


def places_for(method: str, hyper: Iterable[str], making: Iterable[str], running: Iterable[str]) -> dict[str, str]:
    """Places of all keywords that concern an optimizer of the class `method`."""
    return {
        **dict.fromkeys(OF_DATASETS, "fastadagrad.Dataset(..., {}=...)"),
        **dict.fromkeys(making, f"{method}(..., {{}}=...)"),
        **dict.fromkeys(running, "opt.iterate(..., {}=...)"),
        **dict.fromkeys(hyper, "opt.hyper.{}"),
    }


def misplaced(name: str, places: Places, foreign: Foreign = KEYWORDS) -> str | None:
    """Where the keyword belongs that a name of an attribute means; None if the name means no keyword.

    Examples
    --------
    >>> places = {"learning_rate": "opt.hyper.{}", "batch_size": "opt.iterate(..., {}=...)"}
    >>> misplaced("learning_rate", places)
    'it is opt.hyper.learning_rate'
    >>> misplaced("batchsize", places)
    'did you mean opt.iterate(..., batch_size=...)?'
    >>> misplaced("my_own", places)
    """
    if name in places:
        return f"it is {places[name].format(name)}"
    meant = meant_by(name, places, foreign)
    if meant is None:
        return None
    if meant.name is not None:
        return f"did you mean {places[meant.name].format(meant.name)}?"
    return f"{meant.sentence}, in {places[meant.needs[0]].format('...')}"


def refuse_misplaced(
    owner: object, name: str, places: Places, foreign: Foreign = KEYWORDS, meant: str | None = None
) -> None:
    """Raise AttributeError for an attribute about to be set that means a keyword, which is in another place.

    `meant` says it of one that means a keyword of something else.
    """
    meant = misplaced(name, places, foreign) or meant
    if meant is not None:
        raise AttributeError(
            f"{type(owner).__name__} has no attribute {name!r} to be set, as nothing would go by it: {meant} (a "
            "subclass that wants one of this name defines it in its class)"
        )
