"""Steps that a parameter missed, all at once: k steps of gradient 0 in closed form.

A gradient of 0 leaves G, and so H, as it is. With c = 1 - a*w (decoupled decay) and r = 1/(1 + a*l2/H)

    plain               |p| <- max(0, (c*r)^k |p| - (a*l1/H) * r * series(c*r, k)),  keeping the sign
    momentum m           p  <- c^k p + v*m   * (c^k - m^k)/(c - m) ;  v <- m^k v
    Nesterov             p  <- c^k p + v*m^2 * (c^k - m^k)/(c - m) ;  v <- m^k v

where series(x, k) = 1 + x + ... + x^(k-1) = (x^k - 1)/(x - 1), and (c^k - m^k)/(c - m) is the larger of
c and m to the power k-1 times the series of their quotient. Powers go through logarithms and expm1, in
float64, so that no difference of nearly equal numbers is formed.
"""

from __future__ import annotations

from math import copysign, exp, expm1, log, log1p

import numpy as np

from .jit import welded


@welded
def series(log_x, k):
    """1 + x + ... + x^(k-1)."""
    return expm1(k * log_x) / expm1(log_x) if log_x != 0.0 else np.float64(k)


def make_catch_up(rule, motion: str):
    """Compilable ``(p, rest, G, k, thresholds, log_keeps, s) -> (p, rest)`` for k >= 1 missed steps.

    `thresholds` is the sum of a*l1 over the missed steps, `log_keeps` that of log(1 - a*w): with either
    alone the learning rate may have changed from step to step. l2, l1 with decay, and momentum with
    decay need a constant one. `s` holds the rule's scalars in float64.
    """
    scale = welded(rule.scale)
    look_ahead = motion == "nesterov"

    @welded
    def shrunk(p, rest, G, k, thresholds, log_keeps, s):
        p = np.float64(p)
        if p == 0.0 or (G == 0.0 and log_keeps == 0.0):
            return p, rest
        log_r = 0.0
        threshold = 0.0
        if G != 0.0:  # an element without a metric is not penalised
            H = scale(np.float64(G), s)
            threshold = thresholds / H / k
            if s.l2_step != 0.0:
                log_r = -log1p(s.l2_step / H)
        log_power = log_keeps + k * log_r
        size = abs(p) * exp(log_power) if log_power != 0.0 else abs(p)
        if threshold != 0.0:
            size -= threshold * exp(log_r) * series(log_power / k, k)
        return (0.0 if size <= 0.0 else copysign(size, p)), rest

    @welded
    def coasted(p, rest, G, k, thresholds, log_keeps, s):
        v, m = np.float64(rest[0]), s.momentum
        log_c, log_m = log_keeps / k, log(m)
        power = exp((k - 1) * max(log_c, log_m)) * series(-abs(log_c - log_m), k)
        reach = m * m if look_ahead else m
        return np.float64(p) * exp(log_keeps) + v * reach * power, (v * exp(k * log_m),)

    return shrunk if motion == "plain" else coasted
