"""A whole optimizer in plain NumPy: parameters, hyperparameters, steps of all kinds, runs, and what is kept of them.

The formulas are the oracles'; here is what an optimizer does around them. Only `stateful` uses it, and tells of every
difference from the library's.
"""

import copy
import functools

import numpy as np
from family import Method
from measuring import Measuring
from oracle import Oracle, ordered_sum
from planned_world import loss, monitor
from whole_run import FULFILLED, Run


@functools.cache
def defaults_of(oracle):
    """All options that an oracle knows, with their defaults."""
    alone = issubclass(oracle, Method)
    return dict(oracle(np.zeros(1) if alone else [np.zeros(1)]).h)


class Model:
    """The optimizer, whose method is that of a class of oracles."""

    def __init__(self, oracle, arrays, hyper):
        self.oracle, self.hyper, self.overlay = oracle, dict(hyper), {}
        self.together = issubclass(oracle, Measuring)
        self.p = {name: np.array(a) for name, a in arrays.items()}
        self.cells, self.late, self.all = {}, {}, None
        self.forget()
        self.configured()

    def copied(self):
        return copy.deepcopy(self)

    def forget(self):
        """Forget counts and what runs have left."""
        self.steps = self.skipped = self.changes = self.epochs = 0
        self.updates, self.best, self.stopped = {}, None, None

    # Hyperparameters

    def in_force(self):
        return {**self.hyper, **self.overlay}

    def of(self, name, t):
        """What holds for a parameter in a step: the options that the oracle knows, with the rate of the step."""
        defaults, h = defaults_of(self.oracle), self.in_force()
        h = {**defaults, **h, **h.get("groups", {}).get(name, {})}
        rate = h["learning_rate"]
        known = {key: value for key, value in h.items() if key in defaults}
        return {**known, "learning_rate": rate(t) if callable(rate) else rate}

    def is_frozen(self, name):
        h = self.in_force()
        return bool(h.get("groups", {}).get(name, {}).get("frozen", h.get("frozen", False)))

    @property
    def unused(self):
        return not (self.steps or self.updates)

    def configured(self):
        """Parameters that are no longer frozen get their slots, if they have none."""
        for name in self.p:
            if not self.is_frozen(name) and (name not in self.cells or self.unused):
                if not self.unused:
                    self.late[name] = self.steps
                self.cells[name] = self.fresh(name)

    def fresh(self, name):
        h = self.of(name, 0)
        if self.together:
            return None
        return Oracle([self.p[name]], **h) if self.oracle is Oracle else self.oracle(self.p[name], **h)

    def begun(self):
        """Before the first step slots may begin with the parameters."""
        if self.unused:
            for name in self.p:
                if not self.is_frozen(name):
                    self.cells[name] = self.fresh(name)
            if self.together:
                self.all = self.oracle([*self.p.values()], **self.of(next(iter(self.p)), 0))

    def change(self, **hyper):
        self.overlay = {name: x for name, x in self.overlay.items() if name not in hyper}
        self.hyper |= hyper
        self.configured()

    # Steps

    def step(self, gradients):
        """A step with pairs of a dense gradient and the rows that it names, or None for all, by name."""
        self.begun()
        active = [name for name in self.p if not self.is_frozen(name)]
        finite = all(np.isfinite(gradients[name][0]).all() for name in active)
        how = self.in_force().get("nonfinite", "raise")
        if not finite and how == "raise":
            raise FloatingPointError
        if not finite and how == "skip":
            self.skipped += 1
            return
        if self.together:
            self._step_together(gradients)
        else:
            limit, scale = self.in_force().get("max_global_norm", 0), 1.0
            if limit:
                total = 0.0
                for name in active:
                    total += ordered_sum(gradients[name][0])
                with np.errstate(all="ignore"):
                    scale = np.minimum(1.0, limit / np.sqrt(np.float64(total)))
            for name in active:
                self._step_one(name, *gradients[name], self.steps, scale)
        self.steps += 1

    def update(self, name, gradient, rows=None):
        """A step of one parameter, which counts its own."""
        self.begun()
        count = self.updates.get(name, 0)
        self._step_one(name, gradient, rows, count, 1.0)
        self.updates[name] = count + 1
        self.changes += 1

    def _step_together(self, gradients):
        self.all.h |= self.of(next(iter(self.p)), self.steps)
        self.all.p, self.all.t = [*self.p.values()], self.steps
        self.all.step([gradients[name][0] for name in self.p])
        self.p = dict(zip(self.p, map(np.array, self.all.p), strict=True))
        if not self.all.h.get("momentum"):
            self.all.v = [np.zeros_like(v) for v in self.all.v]

    def _step_one(self, name, g, rows, t, scale):
        cell, h = self.cells[name], self.of(name, t)
        before = [np.array(a) for a in self._rowwise(name)]
        cell.h = {**cell.h, **h}
        if isinstance(cell, Oracle):
            cell.t = t
            with np.errstate(all="ignore"):
                if h.get("max_gradient_norm") and not h.get("max_gradient_elem"):
                    scale = np.minimum(1.0, h["max_gradient_norm"] / np.sqrt(ordered_sum(g)))
                cell._step_one(0, g, scale)
        else:
            decay = 1 + t * h.get("lr_decay", 0)
            cell.h |= {"learning_rate": h["learning_rate"] / decay, "lr_decay": 0.0}
            cell.t = t - self.late.get(name, 0)
            cell.step(g)
        self.p[name] = np.array(self._p_of(cell))
        if rows is not None and self.in_force().get("lazy") == "touched":
            others = np.setdiff1d(np.arange(len(g)), rows)
            for now, old in zip(self._rowwise(name), before, strict=True):
                now[others] = old[others]
            self._set_p(cell, self.p[name])
        if not h.get("momentum"):
            self._v(name)[...] = 0

    @staticmethod
    def _p_of(cell):
        return cell.p[0] if isinstance(cell, Oracle) else cell.p

    @staticmethod
    def _set_p(cell, p):
        if isinstance(cell, Oracle):
            cell.p[0] = np.array(p)
        else:
            cell.p = np.array(p)

    def _v(self, name):
        cell = self.cells[name]
        if isinstance(cell, Oracle):
            cell.v[0] = np.array(cell.v[0])
            return cell.v[0]
        return cell.v

    def _rowwise(self, name):
        """The arrays of a parameter that have its rows, itself first."""
        cell = self.cells[name]
        if isinstance(cell, Oracle):
            slots = [cell.v[0], *([cell.G[0]] if cell.G[0].ndim else [])]
        else:
            slots = [cell.v, *cell.slots]
        return [self.p[name], *slots]

    def slots(self, name):
        """The slots that are there, without the velocity, and the velocity."""
        self.begun()
        if self.together:
            i = [*self.p].index(name)
            return self.all.state(i), self.all.v[i]
        if name not in self.cells:
            return None
        cell = self.cells[name]
        return ([cell.G[0]], cell.v[0]) if isinstance(cell, Oracle) else (cell.slots, cell.v)

    # What changes parameters otherwise

    def write(self, values):
        for name, value in values.items():
            self.p[name] = np.array(value, self.p[name].dtype).reshape(self.p[name].shape)
            if name in self.cells and not self.together:
                self._set_p(self.cells[name], self.p[name])

    def set_params(self, values):
        self.changes += 1
        self.write(values)

    def reset(self):
        had = {*self.cells}
        changes = self.changes
        self.forget()
        self.changes, self.late = changes + 1, {}
        for name in had:
            self.cells[name] = self.fresh(name)
        self.begun()

    def value(self, *batch):
        found = loss(self.p, *batch)[0]
        return found, monitor(self.p, *batch)

    # Runs

    def iterate(self, batches=None, max_updates=None, max_epochs=None, **hyper):
        """Train; `batches` are the numbers of batches to train and to validate on, or None for a loss without data."""
        self.overlay, self.stopped = dict(hyper), None
        self.configured()
        run = Run(self, batches, max_updates, max_epochs)
        final, left = "error", False
        try:
            while run.reason is None:
                changes = self.changes
                pair = run.epoch()
                if pair is not None:
                    left = True
                    yield pair
                    left = False
                    if self.changes != changes:
                        run.changed = True
            if run.changed and run.reason in FULFILLED:
                run.validate_the_last()
            final = run.reason
        except KeyboardInterrupt:
            final = "interrupted"
            raise
        finally:
            self._end(run, final, left, left and self.changes != changes)

    def _end(self, run, final, left, changed_since):
        try:
            if left and not changed_since:
                run.reason = "closed" if final == "error" else final
                final = "error"
                run.validate_the_last()
                final = run.reason
            elif left:
                final = "closed"
        except KeyboardInterrupt:
            final = "interrupted"
            raise
        finally:
            self.overlay, self.stopped = {}, final
            if run.has_best and not changed_since:
                self.write(self.best[2])
            self.configured()
