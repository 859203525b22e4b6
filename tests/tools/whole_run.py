"""A run of the model of a whole optimizer: epochs, validation, patience, and why it ends."""

import math

import numpy as np
from planned_world import loss, monitor, train_data, valid_data

FULFILLED = ("interrupted", "max_updates", "max_epochs")


class Run:
    """Where a run stands."""

    def __init__(self, model, batches, max_updates, max_epochs):
        self.model, self.batches, self.max_updates, self.max_epochs = model, batches, max_updates, max_epochs
        self.epochs = self.updates = self.failures = 0
        self.reason = self.lowest = self.counted = None
        self.validated = self.changed = self.has_best = False
        self.valid = {}

    def epoch(self):
        self.stop_at_limit()
        h = self.model.in_force()
        if self.reason is None and not self.validated and self.epochs % h.get("validate_every", 10) == 0:
            self.validate()
            self.validated = True
        trained = self.train() if self.reason is None else None
        trained = None if self.reason == "non-finite loss" else trained
        if trained:
            self.epochs += 1
            self.validated = False
            self.stop_at_limit()
        if self.reason in FULFILLED:
            self.validate_the_last()
        if not trained:
            return None
        self.model.epochs += 1
        return trained, dict(self.valid)

    def stop_at_limit(self):
        if self.reason is None and self.max_updates is not None and self.updates >= self.max_updates:
            self.reason = "max_updates"
        elif self.reason is None and self.max_epochs is not None and self.epochs >= self.max_epochs:
            self.reason = "max_epochs"

    def train(self):
        sums, weight, model = [0.0, 0.0], 0.0, self.model
        for _ in range(1 if self.batches is None else self.batches[0]):
            batch = () if self.batches is None else train_data()
            value, gradients = loss(model.p, *batch)
            watched = monitor(model.p, *batch)
            if not math.isfinite(value):
                self.reason = "non-finite loss"
                return None
            model.step({name: (g, None) for name, g in gradients.items()})
            size = len(batch[0]) if batch else 1
            sums, weight = [sums[0] + size * value, sums[1] + size * watched], weight + size
            self.updates += 1
            self.changed = True
            if self.max_updates is not None and self.updates >= self.max_updates:
                break
        return {"loss": sums[0] / weight, "m": sums[1] / weight}

    def validate_the_last(self):
        reason = self.reason
        if self.changed or not self.valid:
            self.validate()
        if self.reason != "non-finite loss":
            self.reason = reason

    def validate(self):
        model, sums, weight = self.model, [0.0, 0.0], 0.0
        for _ in range(1 if self.batches is None else self.batches[1]):
            batch = () if self.batches is None else valid_data()
            value, watched = model.value(*batch)
            size = len(batch[0]) if batch else 1
            sums, weight = [sums[0] + size * value, sums[1] + size * watched], weight + size
        self.valid, self.changed = {"loss": sums[0] / weight, "m": sums[1] / weight}, False
        found, h = self.valid["loss"], model.in_force()
        if not math.isfinite(found):
            self.reason = "non-finite loss"
            return
        least = abs(self.counted or 0.0) * h.get("min_improvement", 0.0)
        if self.counted is None or self.counted - found > least:
            self.counted, self.failures = found, 0
        else:
            self.failures += 1
        if self.lowest is None or found < self.lowest:
            self.lowest, self.has_best = found, True
            model.best = found, (self.epochs, model.steps), {name: np.array(p) for name, p in model.p.items()}
        if self.failures > h.get("patience", 5):
            self.reason = "patience"
