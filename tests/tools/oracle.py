"""The formula in plain NumPy, in the parameter's dtype: what every driver must equal, bit for bit.

What the options of all methods do is here once, in `prepared`, `displaced` and `penalised`, for the oracles of all.
"""

import numpy as np

DEFAULTS = {
    "learning_rate": 1e-4,
    "rms_regularizer": 1e-8,
    "momentum": 0.0,
    "nesterov": False,
    "epsilon_inside": False,
    "initial_accumulator_value": 0.0,
    "lr_decay": 0.0,
    "weight_decay": 0.0,
    "decoupled_weight_decay": 0.0,
    "l1": 0.0,
    "l2": 0.0,
    "max_gradient_elem": 0.0,
    "max_gradient_norm": 0.0,
    "max_global_norm": 0.0,
    "accumulator": "element",
}


def ordered_sum(x):
    """Sum of squares in the documented order."""
    return ordered_total(np.square(np.asarray(x, np.float64)))


def ordered_total(x):
    """Sum of float64 in that order."""
    x = np.asarray(x, np.float64).ravel()
    total = 0.0
    for start in range(0, x.size, 4096):
        block = np.zeros(4096)
        part = x[start : start + 4096]
        block[: part.size] = part
        lanes = np.zeros(32)
        for row in block.reshape(128, 32):
            lanes = lanes + row
        while lanes.size > 1:
            half = lanes.size // 2
            lanes = lanes[:half] + lanes[half:]
        total = total + float(lanes[0])
    return total


def prepared(h, p, g, scale):
    """A gradient under the options `h` as a method gets it: scaled by a norm, clipped by element, decayed."""
    c = p.dtype.type
    g = g * c(scale)
    if h["max_gradient_elem"]:
        g = np.clip(g, -c(h["max_gradient_elem"]), c(h["max_gradient_elem"]))
    return g + c(h["weight_decay"]) * p if h["weight_decay"] else g


def displaced(h, p, v, d, a):
    """A parameter and its velocity after a displacement, at the learning rate a."""
    c = p.dtype.type
    if h["decoupled_weight_decay"]:
        p = p * c(1 - a * h["decoupled_weight_decay"])
    if not h["momentum"]:
        return p - d, v
    m = c(h["momentum"])
    v = m * v - d
    return p + (m * v - d if h["nesterov"] else v), v


def penalised(h, q, H, has_metric, a):
    """A parameter after the proximal step, where it has a metric."""
    if not (h["l1"] or h["l2"]):
        return q
    c = q.dtype.type
    size = np.abs(q) - c(a * h["l1"]) / H
    shrunk = np.copysign(size / (c(1) + c(a * h["l2"]) / H), q)
    return np.where(has_metric, np.where(size <= 0, c(0), shrunk), q)


class Oracle:
    """AdaGrad on a list of arrays, stepping copies of them."""

    def __init__(self, arrays, **hyper):
        assert set(hyper) <= set(DEFAULTS)
        self.h = {**DEFAULTS, **hyper}
        self.p = [np.array(a) for a in arrays]
        self.G = [np.full(self._accumulator_shape(a), self.h["initial_accumulator_value"], a.dtype) for a in arrays]
        self.v = [np.zeros_like(a) for a in arrays]
        self.t = 0

    def _kind(self, p):
        kind = self.h["accumulator"]
        return "element" if kind == "row" and p.ndim == 1 else kind

    def _accumulator_shape(self, p):
        return {"element": p.shape, "row": p.shape[:1], "tensor": ()}[self._kind(p)]

    def step(self, gradients):
        h = self.h
        scale = np.ones(len(self.p))
        with np.errstate(all="ignore"):
            if h["max_global_norm"]:
                total = 0.0
                for g in gradients:
                    total += ordered_sum(g)
                scale[:] = np.minimum(1.0, h["max_global_norm"] / np.sqrt(np.float64(total)))
            elif h["max_gradient_norm"] and not h["max_gradient_elem"]:
                norms = np.sqrt([ordered_sum(g) for g in gradients])
                scale = np.minimum(1.0, h["max_gradient_norm"] / norms)
            for i, g in enumerate(gradients):
                self._step_one(i, g, scale[i])
        self.t += 1

    def _step_one(self, i, g, scale):
        h, p = self.h, self.p[i]
        dtype = p.dtype.type
        a = h["learning_rate"]
        a = (a(self.t) if callable(a) else a) / (1 + self.t * h["lr_decay"])
        e = dtype(h["rms_regularizer"])
        g = prepared(h, p, g, scale)
        kind = self._kind(p)
        if kind == "element":
            square = g * g
        elif kind == "row":
            rows = [ordered_sum(row) / max(row.size, 1) for row in g.reshape(len(g), g.size // max(len(g), 1))]
            square = np.array(rows).astype(dtype).reshape(len(g))
        else:
            square = dtype(ordered_sum(g))
        if g.size:
            self.G[i] = self.G[i] + square
        G = self.G[i].reshape(-1, *[1] * (p.ndim - 1)) if kind == "row" else self.G[i]
        H = np.sqrt(G + e) if h["epsilon_inside"] else np.sqrt(G) + e
        d = np.where(H == 0, dtype(0), dtype(a) * g / H)
        q, self.v[i] = displaced(h, p, self.v[i], d, a)
        self.p[i] = np.asarray(penalised(h, q, H, G != 0, a), dtype)
        assert self.G[i].dtype == self.v[i].dtype == self.p[i].dtype == dtype


def spread(rng, shape, dtype):
    """Values over 16 orders of magnitude, zeros of both signs among them."""
    x = rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-8, 8, shape)
    return np.asarray(np.where(rng.random(shape) < 0.05, rng.choice([-0.0, 0.0], shape), x), dtype)


def bits_differ(a, b):
    """Number of elements whose bits differ, NaN counting as NaN whatever its payload."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype, (a.dtype, b.dtype)
    assert a.shape == b.shape, (a.shape, b.shape)
    integer = {4: np.int32, 8: np.int64}[a.itemsize]
    same = (a.view(integer) == b.view(integer)) if a.ndim else np.array(a.tobytes() == b.tobytes())
    return int(np.sum(~(same | (np.isnan(a) & np.isnan(b)))))
