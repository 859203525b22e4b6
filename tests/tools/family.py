"""The methods beside AdaGrad in plain NumPy, in the parameter's dtype: what every driver must equal, bit for bit."""

import math

import numpy as np
from oracle import DEFAULTS, displaced, ordered_sum, penalised, prepared

import fastadagrad as fa

ADAGRADS = {"rms_regularizer", "epsilon_inside", "initial_accumulator_value", "accumulator", "max_global_norm"}
OPTIONS = {name: value for name, value in DEFAULTS.items() if name not in ADAGRADS}


def share_kept(halflife, steps=1):
    return 2.0 ** (-steps / halflife) if halflife else 0.0


def share_new(halflife, steps=1):
    """By the C library: NumPy's own logarithms are another one's on some processors, an ulp away."""
    return -math.expm1(-math.log(2) * steps / halflife) if halflife else 1.0


class Method:
    """A method on one array, a copy of which is stepped; `rows`, if given, are the only ones that a step is of."""

    defaults = {}  # noqa: RUF012  never changed
    own = {}  # noqa: RUF012

    def __init__(self, p, **hyper):
        known = {**OPTIONS, **self.defaults, **self.own}
        assert set(hyper) <= set(known), set(hyper) - set(known)
        self.h, self.p, self.t = {**known, **hyper}, np.array(p), 0
        self.v, self.slots = np.zeros_like(self.p), self.initial()

    def scalar(self, value):
        return self.p.dtype.type(value)

    def zeros(self):
        return np.zeros_like(self.p)

    def initial(self):
        return []

    def step(self, g, rows=...):
        h, p, slots = self.h, self.p[rows], [slot[rows] for slot in self.slots]
        a = h["learning_rate"] / (1 + self.t * h["lr_decay"])
        with np.errstate(all="ignore"):
            limit, scale = h["max_gradient_norm"], 1.0
            if limit and not h["max_gradient_elem"]:
                scale = min(1.0, limit / np.sqrt(np.float64(ordered_sum(g))))
            q, v, H, slots = self.moved(p, prepared(h, p, g, scale), slots, self.v[rows], a)
            q = penalised(h, q, H, (slots[0] != 0) & (H != 0) if slots else True, a)
        self.p[rows], self.v[rows] = q, v
        for slot, new in zip(self.slots, slots, strict=True):
            assert new.dtype == slot.dtype
            slot[rows] = new
        self.t += 1

    def moved(self, p, g, slots, v, a):
        d, H, slots = self.displacement(g, slots, a)
        return *displaced(self.h, p, v, d, a), H, slots


def quotient(numerator, H):
    return np.where(H == 0, numerator.dtype.type(0), numerator / H)


class SGD(Method):
    def displacement(self, g, slots, a):
        return self.scalar(a) * g, self.scalar(1), slots


class NAG(SGD):
    defaults = {"nesterov": True}  # noqa: RUF012


class RProp(Method):
    own = {"rprop_increase": 1.01, "rprop_decrease": 0.99, "rprop_min_step": 0.0, "rprop_max_step": 100.0}  # noqa: RUF012

    def initial(self):
        return [np.full_like(self.p, self.h["learning_rate"]), self.zeros()]

    def displacement(self, g, slots, a):
        h, c = self.h, self.scalar
        step, before = slots
        agree = np.sign(g) * np.sign(before)
        grown = np.minimum(step * c(h["rprop_increase"]), c(h["rprop_max_step"]))
        shrunk = np.maximum(step * c(h["rprop_decrease"]), c(h["rprop_min_step"]))
        step = np.where(agree > 0, grown, np.where(agree < 0, shrunk, step))
        g = np.where(agree < 0, c(0), g)
        d = np.where(g > 0, step, np.where(g < 0, -step, g))
        return d, c(1), [step, g]


class RMSProp(Method):
    own = {"rms_halflife": 14.0, "rms_regularizer": 1e-8, "epsilon_inside": True, "centered": True}  # noqa: RUF012

    def initial(self):
        return [self.zeros() for _ in range(2 if self.h["centered"] else 1)]

    def displacement(self, g, slots, a):
        h, c = self.h, self.scalar
        r, new, e = c(share_kept(h["rms_halflife"])), c(share_new(h["rms_halflife"])), c(h["rms_regularizer"])
        slots = [r * slots[0] + new * (g * g), *(r * F + new * g for F in slots[1:])]
        variance = slots[0]
        if h["centered"]:
            variance = slots[0] - slots[1] * slots[1]
            variance = np.where(variance < 0, c(0), variance)
        H = np.sqrt(variance + e) if h["epsilon_inside"] else np.sqrt(variance) + e
        return quotient(c(a) * g, H), H, slots


class ADADELTA(Method):
    defaults = {"learning_rate": 1.0}  # noqa: RUF012
    own = {"rms_halflife": 14.0, "rms_regularizer": 1e-8}  # noqa: RUF012

    def initial(self):
        return [self.zeros(), self.zeros()]

    def displacement(self, g, slots, a):
        h, c = self.h, self.scalar
        r, new, e = c(share_kept(h["rms_halflife"])), c(share_new(h["rms_halflife"])), c(h["rms_regularizer"])
        G = r * slots[0] + new * (g * g)
        H = np.sqrt(G + e)
        u = quotient(g * np.sqrt(slots[1] + e), H)
        return c(a) * u, H, [G, r * slots[1] + new * (u * u)]


def product_of(g):
    """What the tests give for the Hessian-vector product that belongs to a gradient."""
    return g * g.dtype.type(-0.5) + g.dtype.type(0.25)


class ESGD(Method):
    own = {"rms_halflife": 14.0, "rms_regularizer": 1e-8, "epsilon_inside": False, "averaged": False}  # noqa: RUF012

    def initial(self):
        return [self.zeros(), self.zeros()]

    def step(self, g, rows=...):
        self.slots[1][...] = product_of(self.zeros())
        with np.errstate(all="ignore"):
            self.slots[1][rows] = product_of(g)
        super().step(g, rows)

    def displacement(self, g, slots, a):
        h, c, u = self.h, self.scalar, slots[1]
        kept, new = share_kept(h["rms_halflife"]), share_new(h["rms_halflife"])
        if h["averaged"]:
            kept, new = self.t / (self.t + 1), 1 / (self.t + 1)
        e = c(h["rms_regularizer"])
        D = c(kept) * slots[0] + c(new) * (u * u)
        H = np.sqrt(D + e) if h["epsilon_inside"] else np.sqrt(D) + e
        return quotient(c(a) * g, H), H, [D, u]


class Adam(Method):
    own = {"beta1_halflife": 7.0, "beta2_halflife": 69.0, "rms_regularizer": 1e-8, "amsgrad": False}  # noqa: RUF012

    def initial(self):
        return [self.zeros() for _ in range(3 if self.h["amsgrad"] else 2)]

    def displacement(self, g, slots, a):
        h, c, h1, h2 = self.h, self.scalar, self.h["beta1_halflife"], self.h["beta2_halflife"]
        V = c(share_kept(h2)) * slots[0] + c(share_new(h2)) * (g * g)
        M = c(share_kept(h1)) * slots[1] + c(share_new(h1)) * g
        slots, largest = [V, M], V
        if h["amsgrad"]:
            largest = np.where(self.slots_before(2) > V, self.slots_before(2), V)
            slots.append(largest)
        H = np.sqrt(largest) * c(1 / np.sqrt(share_new(h2, self.t + 1))) + c(h["rms_regularizer"])
        return quotient(c(a / share_new(h1, self.t + 1)) * M, H), H, slots

    def moved(self, p, g, slots, v, a):
        self.slots_before = lambda i: slots[i]
        return super().moved(p, g, slots, v, a)


class AdaMax(Method):
    own = {"beta1_halflife": 7.0, "beta2_halflife": 69.0, "rms_regularizer": 1e-8}  # noqa: RUF012

    def initial(self):
        return [self.zeros(), self.zeros()]

    def displacement(self, g, slots, a):
        h, c, h1, h2 = self.h, self.scalar, self.h["beta1_halflife"], self.h["beta2_halflife"]
        faded, size = c(share_kept(h2)) * slots[0], np.abs(g)
        U = np.where(faded > size, faded, size)
        M = c(share_kept(h1)) * slots[1] + c(share_new(h1)) * g
        H = U + c(h["rms_regularizer"])
        return quotient(c(a / share_new(h1, self.t + 1)) * M, H), H, [U, M]


class AdaGradDA(Method):
    own = {"rms_regularizer": 1e-8, "initial_accumulator_value": 0.0, "rda_l1": 0.0}  # noqa: RUF012

    def initial(self):
        return [np.full_like(self.p, self.h["initial_accumulator_value"]), self.zeros(), self.p.copy()]

    def moved(self, p, g, slots, v, a):
        h, c = self.h, self.scalar
        G, Z, P = slots[0] + g * g, slots[1] + g, slots[2]
        H, shrunk = np.sqrt(G) + c(h["rms_regularizer"]), Z
        if h["rda_l1"]:
            size = np.abs(Z) - c((self.t + 1) * h["rda_l1"])
            shrunk = np.where(size <= 0, c(0), np.copysign(size, Z))
        return np.where(H == 0, P, P - c(a) * shrunk / H), v, H, [G, Z, P]


class FTRL(Method):
    defaults = {"learning_rate": 0.1}  # noqa: RUF012
    own = {"ftrl_beta": 1.0, "ftrl_l1": 0.0, "ftrl_l2": 0.0, "initial_accumulator_value": 0.0}  # noqa: RUF012

    def initial(self):
        return [np.full_like(self.p, self.h["initial_accumulator_value"]), self.zeros()]

    def moved(self, p, g, slots, v, a):
        h, c = self.h, self.scalar
        n = slots[0] + g * g
        kept = (np.sqrt(n) - np.sqrt(slots[0])) / c(a) * p
        z = slots[1] + g - np.where(n - n == 0, kept, c(0))
        H = (c(h["ftrl_beta"]) + np.sqrt(n)) / c(a) + c(h["ftrl_l2"])
        size = np.abs(z) - c(h["ftrl_l1"])
        return np.where((size <= 0) | (H == 0), c(0), -np.copysign(size, z) / H), v, H, [n, z]


class COCOB(Method):
    own = {"cocob_alpha": 100.0}  # noqa: RUF012

    def initial(self):
        return [np.full_like(self.p, 1e-8), self.zeros(), self.zeros(), self.zeros(), self.p.copy()]

    def moved(self, p, g, slots, v, a):
        c = self.scalar
        L, S, R, T, P = slots
        size = np.abs(g)
        L, S, R, T = np.where(L > size, L, size), S + size, R - (p - P) * g, T - g
        R = np.where(R < 0, c(0), R)
        least = c(self.h["cocob_alpha"]) * L
        H = np.where(S + L > least, S + L, least)
        return P + T / L / H * (L + R), v, H, [L, S, R, T, P]


class RDA(Method):
    own = {"rda_l1": 0.0}  # noqa: RUF012

    def initial(self):
        return [self.zeros(), self.p.copy()]

    def moved(self, p, g, slots, v, a):
        h, c = self.h, self.scalar
        Z, P = slots[0] + g, slots[1]
        size = np.abs(Z) - c((self.t + 1) * h["rda_l1"])
        shrunk = np.where(size <= 0, c(0), np.copysign(size, Z))
        return P - c(a) * shrunk / c(np.sqrt(self.t + 1)), v, c(1), [Z, P]


MOVING = {
    "momentum": {"momentum": 0.9},
    "nesterov, decoupled": {"momentum": 0.9, "nesterov": True, "decoupled_weight_decay": 0.1},
}
PENALISED = {"elastic net": {"l1": 0.01, "l2": 0.02}, "penalised at a rate of 0": {"learning_rate": 0.0, "l1": 0.01}}
# The variants of a method whose rule has `place`; with `delta` DISPLACED, and PROXIMAL if it takes l1 and l2.
ALL = {
    "plain": {},
    "clipped and decayed": {"max_gradient_norm": 0.5, "weight_decay": 0.1, "lr_decay": 0.01},
    "clipped by element": {"max_gradient_elem": 0.3},
}
DISPLACED = {**ALL, **MOVING}
PROXIMAL = {**DISPLACED, **PENALISED}

# Method -> (its oracle, its variants, the first being the one that stands for it)
METHODS = {
    "SGD": (SGD, PROXIMAL),
    "NAG": (NAG, {"with momentum": {"momentum": 0.9}, "plain": {}}),
    "RProp": (RProp, {**DISPLACED, "quick": {"rprop_increase": 1.5, "rprop_decrease": 0.5, "rprop_max_step": 0.3}}),
    "RMSProp": (
        RMSProp,
        {
            **PROXIMAL,
            "not centered": {"centered": False, "rms_halflife": 3},
            "outside": {"centered": False, "epsilon_inside": False, "rms_regularizer": 0.0, "l1": 0.1},
        },
    ),
    "ADADELTA": (ADADELTA, {**DISPLACED, "slower": {"learning_rate": 0.5, "rms_regularizer": 1e-3}}),
    "ESGD": (
        ESGD,
        {
            **PROXIMAL,
            "averaged": {"averaged": True},
            "inside": {"epsilon_inside": True, "rms_halflife": 3, "rms_regularizer": 1e-3},
        },
    ),
    "Adam": (
        Adam,
        {
            **PROXIMAL,
            "amsgrad": {"amsgrad": True, "beta2_halflife": 2},
            "AdamW": {"decoupled_weight_decay": 0.1, "rms_regularizer": 0.0},
        },
    ),
    "AdaMax": (AdaMax, {**PROXIMAL, "as published": {"rms_regularizer": 0.0, "beta2_halflife": 2}}),
    "AdaGradDA": (AdaGradDA, {**ALL, "RDA": {"rda_l1": 0.05, "initial_accumulator_value": 0.1}}),
    "RDA": (RDA, {**ALL, "penalised": {"rda_l1": 0.05}}),
    "FTRL": (FTRL, {**ALL, "penalised": {"ftrl_l1": 0.1, "ftrl_l2": 0.1, "initial_accumulator_value": 0.1}}),
    "COCOB": (COCOB, {**ALL, "eager": {"cocob_alpha": 2.0}}),
}
ONE_OF_EACH = {next(iter(variants)) for _, variants in METHODS.values()}
VARIANTS = [(name, variant) for name, (_, variants) in METHODS.items() for variant in variants]


def oracle_of(name, p, **hyper):
    return METHODS[name][0](p, **hyper)


def _written_out(g, p):
    if type(g) is not fa.Rows:
        return g
    dense = np.zeros_like(p)
    np.add.at(dense, g.indices, g.values)
    return dense


class FedESGD(fa.ESGD):
    """With products that follow from the gradients, so that it can be stepped like all others."""

    def step(self, gradients=None):
        flat = self._session.params.flatten(gradients)
        pairs = zip(flat, self._session.params.arrays, strict=True)
        with np.errstate(all="ignore"):
            products = [None if g is None else np.asarray(product_of(np.asarray(_written_out(g, p)))) for g, p in pairs]
        super().step(gradients, self._session.params.restructure(products))


def optimizer_class(name):
    """The library's; of the one that wants products, one that makes them up."""
    return FedESGD if name == "ESGD" else getattr(fa, name)


def given(name, g):
    """What an update of one parameter takes."""
    return (g, product_of(g)) if name == "ESGD" else (g,)
