"""Random generators, made from what a user gives, and their states in types that JSON has."""

from __future__ import annotations

import json
import operator
from typing import Any

import numpy as np

from ..support.asking import asking
from ..support.checks import whole_number
from .batches import described


def as_generator(rng: Any) -> np.random.Generator:
    with asking("rng", rng):
        return _generator_of(rng)


def _generator_of(rng: Any) -> np.random.Generator:
    if isinstance(rng, np.random.RandomState):
        rng = int.from_bytes(rng.bytes(16), "little")
    rng = _plain(rng)
    try:
        return np.random.default_rng(whole_number("rng", rng) if isinstance(rng, bool) else rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng: expected None, a seed or a Generator, got {described(rng)}") from error


def _plain(rng: Any) -> Any:
    """Arrays of NumPy's own type: it goes through the parts of a matrix without end, as these are matrices, too."""
    if isinstance(rng, np.ndarray):
        return np.asarray(rng)
    return [*map(_plain, rng)] if isinstance(rng, list | tuple) else rng


def random_state(random: np.random.Generator | None) -> Any:
    state = None if random is None else random.bit_generator.state
    return json.loads(json.dumps(state, default=operator.methodcaller("tolist")))


def move(random: np.random.Generator, state: Any) -> np.random.Generator:
    """Set a random generator to a state that may come from a file, and so may be damaged."""
    try:
        # NumPy checks neither of these, and would read outside its buffers.
        if not 0 <= state["state"].get("pos", 0) <= 624 or not 0 <= state.get("buffer_pos", 0) <= 4:
            raise ValueError("its position is outside its buffer")
        random.bit_generator.state = state
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"state: its random state is not one of {random!r}: {error}") from error
    return random
