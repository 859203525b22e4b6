"""A thousand small tensors in one step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch_adagrad
from race import OURS, NewRace, first_step
from torch_adagrad import EPSILON, LEARNING_RATE

import fastadagrad as fa

TENSORS, SIZE = 1000, 64
UNCHANGED, FRESH, CHECKED = f"{OURS}, unchanged arrays", f"{OURS}, fresh arrays", f"{OURS}, default check"


def make_arrays(rng: Any) -> list[Any]:
    return [rng.standard_normal(SIZE, np.float32) for _ in range(TENSORS)]


def check_first_step(step: Any, params: list[Any], gradients: list[Any], rtol: float) -> None:
    """Hold a contender to the formula and undo its step."""
    before = [p.copy() for p in params]
    step()
    for p, q, g in zip(params, before, gradients, strict=True):
        np.testing.assert_allclose(p, first_step(q, g, LEARNING_RATE, EPSILON), rtol=rtol, atol=rtol)
        p[...] = q


def make_optimizer(params: list[Any], gradients: list[Any], **hyper: Any) -> fa.ADAGRAD:
    opt = fa.ADAGRAD(params=params, learning_rate=LEARNING_RATE, rms_regularizer=EPSILON, **hyper)
    check_first_step(lambda: opt.step(gradients), params, gradients, rtol=0)
    for buffer, gradient in zip(opt.gradients, gradients, strict=True):
        buffer[...] = gradient
    return opt


def test_thousand_tensors(new_race: NewRace, two_threads: int, quick: bool) -> None:
    race = new_race(f"{TENSORS:,} tensors of {SIZE} float32")
    rng = np.random.default_rng(1)
    params, gradients = make_arrays(rng), make_arrays(rng)
    opt = make_optimizer(params, gradients, nonfinite="ignore")
    checked = make_optimizer(params, gradients)
    race.add(OURS, opt.step, calls=50)
    race.add(UNCHANGED, lambda: opt.step(gradients), calls=50)
    race.add(FRESH, opt.step, prepare=lambda: ([g.copy() for g in gradients],))
    race.add(CHECKED, checked.step, calls=50)
    torch = race.optional("torch", "torch fused", "torch foreach")
    for how in ("fused", "foreach") if torch else ():
        step = torch_adagrad.stepper(torch, two_threads, params, gradients, **{how: True})
        check_first_step(step, params, gradients, rtol=1e-6)
        race.add(f"torch {how}", step)
    race.run(rounds=5 if quick else 51)
    for ours, factor in ((OURS, 100), (UNCHANGED, 100), (FRESH, 20), (CHECKED, None)):
        race.at_least(factor, "torch fused", ours=ours)
        race.at_least(None, "torch foreach", ours=ours)
