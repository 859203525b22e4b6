"""The methods that measure all parameters before a step, in plain NumPy: what every driver must equal, bit for bit."""

import numpy as np
from family import OPTIONS, quotient
from oracle import displaced, ordered_sum, ordered_total, prepared


def f8(x):
    return np.asarray(x, np.float64)


class Measuring:
    """A method on several arrays, copies of which are stepped."""

    own = {}  # noqa: RUF012

    def __init__(self, arrays, **hyper):
        self.h = {**OPTIONS, "learning_rate": 1.0, "max_global_norm": 0.0, **self.own}
        assert set(hyper) <= set(self.h)
        self.h |= hyper
        self.p, self.origins, self.v = ([np.array(a) for a in arrays] for _ in range(3))
        for v in self.v:
            v[...] = 0
        self.learned, self.t = (0.0, 0.0), 0

    def step(self, gradients):
        with np.errstate(all="ignore"):
            gradients = self.prepared(gradients)
            a = self.h["learning_rate"] / (1 + self.t * self.h["lr_decay"])
            self.learned = self.learn(np.sum(self.measures(gradients, a), axis=0))
            for i, g in enumerate(gradients):
                self.move(i, g, a)
        self.t += 1

    def prepared(self, gradients):
        h, result = self.h, []
        squares = [ordered_sum(g) for g in gradients]
        for p, g, square in zip(self.p, gradients, squares, strict=True):
            limit, scale = h["max_global_norm"] or h["max_gradient_norm"], 1.0
            if limit:
                scale = min(1.0, limit / np.sqrt(np.float64(sum(squares) if h["max_global_norm"] else square)))
            result.append(prepared(h, p, g, scale))
        return result

    def displace(self, i, g, size):
        p = self.p[i]
        self.p[i], self.v[i] = displaced(self.h, p, self.v[i], p.dtype.type(size) * g, self.h["learning_rate"])


class DoG(Measuring):
    own = {"initial_distance": 1e-6, "rms_regularizer": 1e-8}  # noqa: RUF012
    slots = ("origin",)

    def measures(self, gradients, a):
        return [
            (ordered_sum(g), ordered_sum(f8(p) - f8(P)), ordered_sum(P))
            for p, g, P in zip(self.p, gradients, self.origins, strict=True)
        ]

    def learn(self, sums):
        gradient, gone, origin = sums
        first = self.h["initial_distance"] * (1 + np.sqrt(origin))
        return max(self.learned[0], np.sqrt(gone), first), self.learned[1] + gradient

    def move(self, i, g, a):
        root = np.sqrt(self.learned[1] + self.h["rms_regularizer"])
        self.displace(i, g, a * self.learned[0] / root if root else 0.0)

    def state(self, i):
        return [self.origins[i]]


class DoWG(DoG):
    own = {"initial_distance": 1e-2, "rms_regularizer": 1e-4}  # noqa: RUF012

    def learn(self, sums):
        gradient, gone, _ = sums
        R = max(self.learned[0], gone, self.h["initial_distance"] ** 2)
        return R, self.learned[1] + R * gradient

    def move(self, i, g, a):
        H = np.sqrt(self.learned[1]) + self.h["rms_regularizer"]
        self.displace(i, g, a * self.learned[0] / H if H else 0.0)


class DAdaptAdaGrad(Measuring):
    own = {  # noqa: RUF012
        "initial_distance": 1e-6,
        "dadapt_growth": 0.0,
        "rms_regularizer": 1e-6,
        "initial_accumulator_value": 1e-6,
    }
    slots = ("accumulator", "weighted_sum", "origin")

    def __init__(self, arrays, **hyper):
        super().__init__(arrays, **hyper)
        self.G = [np.full_like(p, self.h["initial_accumulator_value"]) for p in self.p]
        self.S = [np.zeros_like(p) for p in self.p]

    def measures(self, gradients, a):
        result = []
        for g, G, S in zip(gradients, self.G, self.S, strict=True):
            e, rate = f8(g.dtype.type(self.h["rms_regularizer"])), f8(g.dtype.type(a))
            G, S, g = f8(G), f8(S), f8(g)
            steps, weighted = quotient(S * S, np.sqrt(G) + e), rate * g
            gradient = quotient(weighted * weighted, np.sqrt(G + g * g) + e)
            result.append((ordered_total(steps), ordered_total(abs(S)), ordered_total(gradient)))
        return result

    def learn(self, sums):
        (distance, weighted), (steps, sizes, gradients) = self.learned, sums
        if sizes:
            bound, growth = (steps - weighted) / sizes, self.h["dadapt_growth"]
            distance = max(distance, min(bound, growth * distance) if growth else bound)
        distance = max(distance, self.h["initial_distance"])
        return distance, weighted + distance * distance * gradients

    def move(self, i, g, a):
        c = g.dtype.type
        self.G[i] = self.G[i] + g * g
        self.S[i] = self.S[i] + c(a * self.learned[0]) * g
        H = np.sqrt(self.G[i]) + c(self.h["rms_regularizer"])
        self.p[i] = np.where(H == 0, self.origins[i], self.origins[i] - self.S[i] / H)

    def state(self, i):
        return [self.G[i], self.S[i], self.origins[i]]


MOVED = {"momentum": {"momentum": 0.9, "max_global_norm": 2.0}, "nesterov": {"momentum": 0.5, "nesterov": True}}
ALL = {
    "plain": {"initial_distance": 0.1},
    "clipped and decayed": {"max_gradient_norm": 0.5, "weight_decay": 0.1, "lr_decay": 0.01},
    "clipped by element": {"max_gradient_elem": 0.3, "learning_rate": 0.5},
}
METHODS = {
    "DoG": (DoG, {**ALL, **MOVED, "no regularizer": {"rms_regularizer": 0.0}}),
    "DoWG": (DoWG, {**ALL, **MOVED, "no regularizer": {"rms_regularizer": 0.0}}),
    "DAdaptAdaGrad": (
        DAdaptAdaGrad,
        {**ALL, "no regularizer": {"rms_regularizer": 0.0, "initial_accumulator_value": 0.0, "dadapt_growth": 1.02}},
    ),
}
VARIANTS = [(name, variant) for name, (_, variants) in METHODS.items() for variant in variants]
