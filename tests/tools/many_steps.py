"""Millions of steps of AdaGrad beside a run in extended precision: how far it drifts, and what may be expected.

``python tests/tools/many_steps.py --steps 10000000 --seed 0`` makes so many steps of a few elements in a compiled
loop, by the update that optimizers are compiled with, and as many in double-double arithmetic, of about 32 digits, on
the same gradients. The bound follows from the formula, with u = 2**-52 in float64 and 2**-23 in float32: an accumulator
adds up its squares with an error of at most u a step, and a parameter is rounded by at most u/2 of itself in each step
and has the errors of the steps, of which each has half of its accumulator's, and four roundings. It holds to first
order, as long as steps*u is well below 1.

It also tells where an accumulator in float32 stops growing.
"""

import argparse
import sys
import time

import numpy as np
from numba import njit

import fastadagrad as fa

LEARNING_RATE, EPSILON = 0.01, 1e-8
ELEMENTS = 8


@njit
def _sum(a, b):
    """Sum of two numbers, and its rounding error."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


@njit
def _product(a, b):
    """Product of two numbers, and its rounding error."""
    p = a * b
    c = 134217729.0 * a
    ah = c - (c - a)
    d = 134217729.0 * b
    bh = d - (d - b)
    al, bl = a - ah, b - bh
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


@njit
def _add(h, e, h2, e2):
    s, t = _sum(h, h2)
    return _sum(s, t + e + e2)


@njit
def _root(h, e):
    """Square root of a double-double that is not 0."""
    x = np.sqrt(h)
    p, q = _product(x, x)
    return _sum(x, ((h - p) - q + e) / (2 * x))


@njit
def _quotient(h, e, h2, e2):
    x = h / h2
    p, q = _product(x, h2)
    return _sum(x, ((h - p) - q + e - x * e2) / h2)


@njit
def _gradient(state, k):
    """The next gradient of element k, uniform between -1 and 1 and the smaller the greater k is; exact in float32."""
    state[k] = state[k] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    whole = np.int64(state[k] >> np.uint64(41)) - np.int64(1 << 22)
    return (whole + 0.5) / (1 << 22) / (1 << (2 * k))


@njit
def step_in_extended_precision(steps, state, learning_rate, epsilon, u):
    """Parameters and accumulators as sums of two numbers each, and the bounds of the errors in the precision u."""
    n = state.size
    p, pe, G, Ge, bound = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for t in range(steps):
        for k in range(n):
            g = _gradient(state, k)
            square, rest = _product(g, g)
            G[k], Ge[k] = _add(G[k], Ge[k], square, rest)
            H, He = _root(G[k], Ge[k])
            H, He = _add(H, He, epsilon, 0.0)
            d, de = _product(learning_rate, g)
            d, de = _quotient(d, de, H, He)
            p[k], pe[k] = _add(p[k], pe[k], -d, -de)
            # Half of the accumulator's relative error, which is at most (t + 1)*u, and four roundings of the step.
            bound[k] += u / 2 * abs(p[k]) + abs(d) * ((t + 1) / 2 + 4) * u
    return p, pe, G, Ge, bound


def _kernel(dtype):
    """Compiled loop over steps of the library."""
    adagrad = fa.compiled_update(dtype=dtype, learning_rate=LEARNING_RATE, rms_regularizer=EPSILON)
    update = adagrad.update

    @njit
    def loop(p, g, slots, s, steps, state):
        for _ in range(steps):
            for k in range(p.size):
                g[k] = _gradient(state, k)
            update(p, g, slots, s)

    return adagrad, loop


def seeds(seed):
    return np.random.default_rng(seed).integers(1 << 62, size=ELEMENTS, dtype=np.uint64)


def drift(dtype, steps, seed):
    """Relative errors of the accumulators, errors of the parameters, and the bounds of both."""
    adagrad, loop = _kernel(dtype)
    p, g = np.zeros(ELEMENTS, dtype), np.zeros(ELEMENTS, dtype)
    slots = adagrad.slots(p)
    loop(p, g, slots, adagrad.scalars(), steps, seeds(seed))
    u = float(np.finfo(dtype).eps)
    a, e = (float(dtype(x)) for x in (LEARNING_RATE, EPSILON))
    exact, rest, G, Ge, bound = step_in_extended_precision(steps, seeds(seed), a, e, u)
    of_G = np.abs(((slots[0].astype(np.float64) - G) - Ge) / G)
    of_p = np.abs((p.astype(np.float64) - exact) - rest)
    return of_G, of_p, steps * u, bound


def stalls_at(steps):
    """Where the accumulator of so many gradients of 1 ends in float32, and the last displacement."""
    adagrad = fa.compiled_update(dtype=np.float32, learning_rate=1.0, rms_regularizer=0.0)
    update = adagrad.update

    @njit
    def loop(p, g, slots, s, steps):
        for _ in range(steps):
            p[0] = 0
            update(p, g, slots, s)

    p, g = np.zeros(1, np.float32), np.ones(1, np.float32)
    slots = adagrad.slots(p)
    loop(p, g, slots, adagrad.scalars(), steps)
    return float(slots[0][0]), float(-p[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    status = 0
    end, displacement = stalls_at((1 << 24) + 1_000_000)
    print(f"float32, gradients of 1: the accumulator stops at {end:.0f} = 2**24, the step at 1/{1 / displacement:.0f}")
    for dtype in (np.float32, np.float64):
        begun = time.monotonic()
        of_G, of_p, bound_of_G, bound_of_p = drift(dtype, given.steps, given.seed)
        within = bool((of_G <= bound_of_G).all() and (of_p <= bound_of_p).all())
        status |= not within
        print(
            f"{dtype.__name__}, {given.steps} steps: accumulators within {of_G.max():.2g} of themselves "
            f"(bound {bound_of_G:.2g}), parameters within {of_p.max():.2g} (bound {bound_of_p.max():.2g}), "
            f"{'within' if within else 'BEYOND'} the bounds, {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    return status


if __name__ == "__main__":
    sys.exit(main())
