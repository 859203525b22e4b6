"""Compilation ahead of need of every driver that steps dense gradients by a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..engine.options import Rule
from ..engine.parameters import COMPUTED, guard_of
from ..kernels.cpu.statistics import make_measure
from ..kernels.cpu.tensors import make_driver
from ..kernels.memory import addresses
from ..kernels.motion import SLOTS
from ..kernels.rules import form_of, trait


def every_driver(rule: Rule) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield, for each driver of a method, a label and a function that compiles the driver."""
    form = form_of(rule, rule.Hyperparameters())
    kinds = [("element", True), ("element", False)]
    if trait(form, "shares"):
        kinds += [("row", False), ("tensor", False)]
    for dtype in COMPUTED:
        for motion, (kind, lean) in product(SLOTS, kinds):
            label = f"{dtype} {rule.name}, {motion}, {kind}{'' if lean or kind != 'element' else ' with options'}"
            yield label, partial(_compile, form, motion, kind, lean, dtype)
        if trait(rule, "measured"):
            yield f"{dtype} {rule.name}, measures", partial(_compile_measure, form, dtype)


def _compile(form: Any, motion: str, kind: str, lean: bool, dtype: np.dtype[Any]) -> None:
    driver, nothing = make_driver(form, motion, kind, lean, dtype), np.zeros(0)
    arguments = (
        0,
        id([]),
        addresses.make_table([], [], dtype),
        np.zeros((0, len(form.Scalars._fields)), dtype),
        guard_of([]),
        nothing,
        nothing,
    )
    driver.serial(1, *arguments)
    driver.threaded(1, *arguments)


def _compile_measure(form: Any, dtype: np.dtype[Any]) -> None:
    driver, nothing = make_measure(form, dtype), np.zeros((len(form.measured), 0))
    arguments = addresses.make_table([], [], dtype), np.zeros((0, len(form.Scalars._fields)), dtype), nothing, nothing
    driver.serial(1, *arguments)
    driver.threaded(1, *arguments)
