"""An optimizer and its model: gradients for both, and whether they are the same."""

import numpy as np
import scipy.sparse
from choices import Unkept
from family import optimizer_class
from oracle import bits_differ
from oracles import ORACLES
from planned_world import loss, monitor
from stateful_kinds import KINDS, SHAPES
from whole_model import Model

import fastadagrad as fa


def insist(kept, what, *values):
    if not kept:
        raise Unkept(what % values)


class Compared:
    """An optimizer and its model, which are given the same calls by classes that inherit this one."""

    def __init__(self, choices, kind):
        self.choices, self.kind = choices, KINDS[kind]
        self.random = np.random.default_rng(choices.below(1 << 30))
        self.hyper = {"learning_rate": 0.1, **self.kind.hyper}
        self.opt, start = self.made(self.hyper)
        self.model = Model(ORACLES[self.kind.method], start, self.hyper)
        self.sizes = {}
        self.compare()

    def made(self, hyper):
        """An optimizer with other parameters, and copies of these."""
        dtypes = dict(zip(SHAPES, self.kind.dtypes, strict=True))
        params = {name: self.numbers(shape, dtypes[name]) for name, shape in SHAPES.items()}
        if self.kind.from_zero:
            params = {name: np.zeros_like(p) for name, p in params.items()}
        opt = optimizer_class(self.kind.method)(loss, params, monitors={"m": monitor}, **hyper)
        return opt, {name: p.copy() for name, p in params.items()}

    def numbers(self, shape, dtype):
        return np.asarray(self.random.standard_normal(shape), dtype)

    # Gradients

    def dense(self, name):
        g = self.numbers(SHAPES[name], self.opt.params[name].dtype)
        if self.choices.chance(0.1):
            g[...] = 0
        return g, g, None

    def itself(self, name):
        """The parameter as its own gradient, which that of half the squared size is."""
        return self.opt.params[name], self.model.p[name].copy(), None

    def rows(self, name):
        """A gradient of rows, some of them named twice; the same as a dense one, and the rows."""
        shape, dtype = SHAPES[name], self.opt.params[name].dtype
        indices = self.random.integers(shape[0], size=self.choices.below(2 * shape[0] + 1))
        values = self.numbers((indices.size, *shape[1:]), dtype)
        g = np.zeros(shape, dtype)
        np.add.at(g, indices, values)
        if self.choices.chance(0.3):
            indices = indices.astype(np.int32)
        return fa.Rows(indices, values), g, np.unique(indices)

    def matrix(self, name):
        """A matrix of scipy.sparse."""
        g = self.numbers(SHAPES[name], self.opt.params[name].dtype)
        g[self.random.random(g.shape) < 0.6] = 0
        form = self.choices.one_of([scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.coo_matrix])
        return form(g), g, None

    def gradient(self, name):
        """What the library is given, the dense gradient, and the rows that it names, or None for all."""
        ways = [self.dense, self.dense, *([self.itself] if self.kind.exact else [])]
        if self.kind.rows and len(SHAPES[name]):
            ways += [self.rows, self.rows]
        if self.kind.matrices and len(SHAPES[name]) == 2:
            ways.append(self.matrix)
        return self.choices.one_of(ways)(name)

    def gradients(self, kind=None):
        """Gradients for the library, and for the model."""
        found = {name: (kind or self.gradient)(name) for name in SHAPES}
        given = {name: g for name, (g, _, _) in found.items()}
        for name in SHAPES:
            if self.model.is_frozen(name) and self.choices.chance(0.7):
                given[name] = None
        return given, {name: (g, rows) for name, (_, g, rows) in found.items()}

    # Comparison

    def compare(self, sometimes=False):
        opt, model = self.opt, self.model
        counts = opt.steps, opt.skipped, opt.stopped_because, len(opt.history)
        expected = model.steps, model.skipped, model.stopped, model.epochs
        insist(counts == expected, "counts are %s, and by the model %s", counts, expected)
        best = None if opt.best is None else (opt.best.loss, (opt.best.epoch, opt.best.steps))
        if self.kind.exact:
            own = None if model.best is None else model.best[:2]
            insist(best == own, "the best is %s, and by the model %s", best, own)
        in_force = opt.hyper
        for name, value in model.in_force().items():
            insist(in_force[name] == value, "%s is %s, and by the model %s", name, in_force[name], value)
        if not self.kind.exact:
            if sometimes and self.choices.chance(0.5):
                return  # the rows lag behind for longer
            opt.flush()
        state = opt.state
        for name, p in opt.params.items():
            self.same(name, p, model.p[name], name)
            slots = model.slots(name)
            if slots is None:
                continue
            found = dict(state[name])
            velocity = found.pop("velocity", None)
            insist(len(found) == len(slots[0]), "%s has the slots %s", name, [*found])
            for (slot, mine), theirs in zip(found.items(), slots[0], strict=True):
                self.same(f"{slot} of {name}", mine, theirs, (name, slot))
            if velocity is not None:
                self.same(f"velocity of {name}", velocity, slots[1], (name, "velocity"))

    def same(self, what, found, expected, key):
        """The same bits, or for rows that have lagged behind nearly the same numbers."""
        if found.shape == expected.shape and found.tobytes() == expected.tobytes():
            return
        if self.kind.exact:
            insist(bits_differ(found, expected) == 0, "%s is %s, and by the model %s", what, found, expected)
            return
        size = self.sizes[key] = max(self.sizes.get(key, 1.0), float(np.abs(expected).max(initial=0)))
        insist(np.abs(found - expected).max() <= 1e-9 * size, "%s is %s, and by the model %s", what, found, expected)

    def near(self, what, found, expected):
        close = np.allclose(found, expected, 1e-9 if not self.kind.exact else 1e-12, 1e-9, equal_nan=True)
        insist(close, "%s: %s, and by the model %s", what, found, expected)
