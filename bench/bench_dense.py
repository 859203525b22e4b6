"""One dense parameter, from ten elements to more than any cache holds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch_adagrad
from numba import njit, prange
from race import OURS, NewRace, first_step
from torch_adagrad import EPSILON, LEARNING_RATE

import fastadagrad as fa

CHECKED = f"{OURS}, default check"
LOOP = "same-traffic loop"
PLAIN = "the step alone"
SCALED = "loss times 2**64"
SUBNORMAL_TABLE = "fastadagrad, table of 1e-40, usual gradients"
HYPER: Any = {"learning_rate": LEARNING_RATE, "rms_regularizer": EPSILON}


@njit(parallel=True)
def same_traffic(p: Any, g: Any, G: Any) -> None:
    """Read and write what AdaGrad reads and writes, and compute next to nothing."""
    for i in prange(p.size):
        p[i] += g[i]
        G[i] += g[i]


def make_arrays(size: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(size)
    return rng.standard_normal(size, np.float32), rng.standard_normal(size, np.float32)


def check_first_step(step: Any, p: Any, g: Any, rtol: float) -> None:
    """Hold a contender to the formula, on part of the array, and undo its step."""
    part = np.s_[: 1 << 20]
    before, expected = p.copy(), first_step(p[part], g[part], LEARNING_RATE, EPSILON)
    step()
    np.testing.assert_allclose(p[part], expected, rtol=rtol, atol=rtol)
    p[...] = before


def add_ours(race: Any, name: str, p: Any, g: Any, calls: int, threads: int, **hyper: Any) -> None:
    opt = fa.ADAGRAD(params=p, threads=threads, **HYPER, **hyper)
    check_first_step(lambda: opt.step(g), p, g, rtol=0)
    race.add(name, lambda: opt.step(g), calls=calls)


def add_torch(race: Any, p: Any, g: Any, calls: int, threads: int) -> None:
    torch = race.optional("torch", "torch fused")
    if torch:
        step = torch_adagrad.stepper(torch, threads, [p], [g], fused=True)
        check_first_step(step, p, g, rtol=1e-6)
        race.add("torch fused", step, calls=calls)


def test_larger_than_cache(new_race: NewRace, two_threads: int, quick: bool) -> None:
    size = 10_000_000 if quick else 100_000_000
    race = new_race(f"dense, {size // 10**6}M float32, {two_threads} threads")
    p, g = make_arrays(size)
    add_ours(race, OURS, p, g, 1, two_threads, nonfinite="ignore")
    add_ours(race, CHECKED, p, g, 1, two_threads)
    G = np.zeros_like(g)
    race.add(LOOP, lambda: same_traffic(p, g, G))
    add_torch(race, p, g, 1, two_threads)
    race.run(rounds=5 if quick else 21)
    race.at_most(1.05, of=LOOP)
    race.at_least(1, "torch fused")
    race.at_most(1.3, of=LOOP, ours=CHECKED)


def test_in_cache(new_race: NewRace, two_threads: int, quick: bool) -> None:
    race = new_race(f"dense, 1M float32, {two_threads} threads")
    p, g = make_arrays(1_000_000)
    add_ours(race, OURS, p, g, 50, two_threads, nonfinite="ignore")
    add_ours(race, CHECKED, p, g, 50, two_threads)
    add_torch(race, p, g, 50, two_threads)
    race.run(rounds=5 if quick else 51)
    race.at_least(1.5, "torch fused")
    race.at_least(None, "torch fused", ours=CHECKED)


@pytest.mark.parametrize("method", [fa.ADAGRAD, fa.Adam])
def test_rate_set_before_each_step(new_race: NewRace, quick: bool, method: Any) -> None:
    """What it costs shows beside the step with the rate that there is."""
    race = new_race(f"{method.__name__}, 10 elements, rate set before each step")
    p, g = make_arrays(10)
    tuned, plain = (method(params=p.copy(), learning_rate=LEARNING_RATE) for _ in range(2))
    rates = itertools.cycle([LEARNING_RATE, LEARNING_RATE / 2])

    def set_and_step() -> None:
        tuned.hyper.learning_rate = next(rates)
        tuned.step(g)

    def step_alone() -> None:
        next(rates)
        plain.step(g)

    race.add(OURS, set_and_step, calls=2000)
    race.add(PLAIN, step_alone, calls=2000)
    race.run(rounds=5 if quick else 51)
    race.at_most_more(1e-6, than=PLAIN)


def test_ten_elements(new_race: NewRace, two_threads: int, quick: bool) -> None:
    race = new_race("dense, 10 elements")
    p, g = make_arrays(10)
    add_ours(race, OURS, p, g, 2000, two_threads, nonfinite="ignore")
    add_ours(race, CHECKED, p, g, 2000, two_threads)
    add_torch(race, p, g, 200, two_threads)
    race.run(rounds=5 if quick else 51)
    race.at_least(8, "torch fused")
    race.at_least(None, "torch fused", ours=CHECKED)


def test_subnormal_squares(new_race: NewRace, quick: bool) -> None:
    """What gradients cost whose squares are subnormal, and what a scaled loss makes of it."""
    race = new_race("dense, 1M float32, gradients of 1e-20, 1 thread")
    p, g = make_arrays(1_000_000)
    tiny, scale = g * np.float32(1e-20), np.float32(2.0**64)
    as_it_is = fa.ADAGRAD(params=p.copy(), threads=1, **HYPER)
    scaled = fa.ADAGRAD(params=p.copy(), threads=1, **HYPER | {"rms_regularizer": EPSILON * scale})
    larger = tiny * scale
    race.add(OURS, lambda: as_it_is.step(tiny), calls=10)
    race.add(SCALED, lambda: scaled.step(larger), calls=10)
    race.run(rounds=5 if quick else 51)
    race.at_least(None, SCALED)


def test_subnormal_squares_in_rows(new_race: NewRace, quick: bool) -> None:
    """The same of gradients by rows, and what a table costs that holds subnormal numbers itself."""
    race = new_race("20,000 rows of 62,500 x 16, float32, gradients of 1e-20, 1 thread")
    p, g = make_arrays(1_000_000)
    table, values, scale = p.reshape(-1, 16), g.reshape(-1, 16)[:20_000], np.float32(2.0**64)
    indices, tiny = np.random.default_rng(0).permutation(len(table))[:20_000], values * np.float32(1e-20)
    as_it_is = fa.ADAGRAD(params=table.copy(), threads=1, **HYPER)
    scaled = fa.ADAGRAD(params=table.copy(), threads=1, **HYPER | {"rms_regularizer": EPSILON * scale})
    still = fa.ADAGRAD(params=table * np.float32(1e-40), threads=1, **HYPER | {"learning_rate": 1e-30})
    gradients = [fa.Rows(indices, each, assume_unique=True) for each in (tiny, tiny * scale, values)]
    race.add(OURS, lambda: as_it_is.step(gradients[0]), calls=10)
    race.add(SCALED, lambda: scaled.step(gradients[1]), calls=10)
    race.add(SUBNORMAL_TABLE, lambda: still.step(gradients[2]), calls=10)
    race.run(rounds=5 if quick else 51)
    race.at_least(None, SCALED)
    race.at_least(None, SUBNORMAL_TABLE)
