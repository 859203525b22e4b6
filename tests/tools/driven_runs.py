"""Runs of an optimizer and of its model that are left in every way: at their end, early, by errors and interrupts."""

import io
import sys
import warnings

from compared import Compared, insist
from planned_world import WORLD, Planned, train_data, valid_data
from stateful_kinds import RATES


class Runs(Compared):
    """The calls of an optimizer and its model that are runs."""

    def run(self):
        """A run, which is left in some way; the model's is left in the same."""
        if not self.kind.runs:
            return
        choose = self.choices
        hyper = {"validate_every": 1 + choose.below(2), "patience": choose.below(3)}
        if choose.chance(0.4) and self.kind.rates_in_runs:
            hyper["learning_rate"] = choose.one_of(self.rates())
        limits = {"max_epochs": 1 + choose.below(5)}
        if choose.chance(0.3):
            limits["max_updates"] = 1 + choose.below(6)
        batches = (1 + choose.below(3), 1 + choose.below(2)) if choose.chance(0.5) else None
        faults = {}
        if choose.chance(0.4):
            what = choose.one_of(["loss", "monitor"])
            fault = choose.one_of(["error", "interrupt", *(["nan"] * (what == "loss"))])
            faults = {what: (1 + choose.below(8), fault)}
        plan = {}
        for epoch in range(4):
            if choose.chance(0.2):
                plan[epoch] = self.planned()
        data = {} if batches is None else _data(*batches)
        choose.note(
            "    %s %s %s %s %s", hyper, limits, batches, faults, {epoch: way for epoch, (way, _) in plan.items()}
        )
        WORLD.begin(faults)
        found = _driven(lambda: self.opt.iterate(**data, **limits, **hyper), plan, self.opt, self)
        WORLD.begin(faults)
        expected = _driven(lambda: self.model.iterate(batches, **limits, **hyper), plan, self.model, self)
        insist(found[1] == expected[1], "the run ended with %s, and by the model with %s", found[1], expected[1])
        insist(len(found[0]) == len(expected[0]), "%d epochs, and by the model %d", len(found[0]), len(expected[0]))
        for pairs in zip(found[0], expected[0], strict=True):
            for mine, theirs in zip(*pairs, strict=True):
                self.near("monitors", [mine["loss"], mine["m"]], [theirs["loss"], theirs["m"]])

    def resume(self):
        """A run is saved at an epoch, and gone on with by another optimizer: both end as the model does."""
        if not self.kind.runs:
            return
        choose, file, at = self.choices, io.BytesIO(), None
        hyper = {"validate_every": 1 + choose.below(2), "patience": choose.below(3)}
        arguments = {"max_epochs": 2 + choose.below(4), **hyper}
        batches = (1 + choose.below(3), 1) if choose.chance(0.5) else None
        data = {} if batches is None else _data(*batches)
        lasting, epoch = dict(self.model.hyper), choose.below(3)
        WORLD.begin({})
        for number, _ in enumerate(self.opt.iterate(**data, **arguments)):
            if number == epoch:
                self.opt.save(file)
                at = dict(WORLD.calls)
        WORLD.begin({})
        for _ in self.model.iterate(batches, **arguments):
            pass
        if at is None:
            return
        other, _ = self.made(lasting)
        file.seek(0)
        other.load(file)
        WORLD.calls = at
        other.minimize(**data, **arguments)
        self.compare()
        self.opt = other

    def planned(self):
        """What the body of a loop does."""
        ways = ["break", "raise", "interrupt", "close", "rate", "step", "save"]
        way = self.choices.one_of(ways)
        if way == "rate":
            return way, self.choices.one_of(RATES)
        if way == "step":
            given, plain = self.gradients(self.dense)
            return way, (given, plain)
        return way, None

    def acted(self, target, way, value):
        """Do in the body of a loop what is planned, with the optimizer or with the model."""
        real = target is self.opt
        if way == "rate" and real:
            target.hyper.learning_rate = value
        elif way == "rate":
            target.change(learning_rate=value)
        elif way == "step" and real:
            target.step(value[0])
        elif way == "step":
            target.step(value[1])
            target.changes += 1
        elif way == "save" and real:
            file = io.BytesIO()
            target.save(file)
            file.seek(0)
            other, _ = self.made(dict(self.model.hyper))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other.load(file, resume=False)
            for name, p in other.params.items():
                insist(p.tobytes() == target.params[name].tobytes(), "a file saved in a run has another %s", name)


def _data(train_batches, valid_batches):
    given = {"train": train_data, "valid": valid_data}
    return {**given, "train_batches": train_batches, "valid_batches": valid_batches}


def _driven(begin, plan, target, machine):
    """The pairs of a run, whose body does what is planned, and the class of the error with which it was left."""
    pairs = []

    def body():
        for number, pair in enumerate(begin()):
            pairs.append(pair)
            way, value = plan.get(number, (None, None))
            if way == "break":
                break
            if way == "raise":
                raise Planned
            if way == "interrupt":
                raise KeyboardInterrupt
            machine.acted(target, way, value)

    def closed():
        epochs = begin()
        for number, pair in enumerate(epochs):
            pairs.append(pair)
            way, value = plan.get(number, (None, None))
            if way == "close":
                epochs.close()
            elif way in ("break", "raise", "interrupt"):
                break
            else:
                machine.acted(target, way, value)

    unraisable, sys.unraisablehook = sys.unraisablehook, lambda _: None  # what a loop that is left cannot raise
    try:
        closed() if any(way == "close" for way, _ in plan.values()) else body()
    except (Planned, KeyboardInterrupt) as error:
        return pairs, type(error)
    finally:
        sys.unraisablehook = unraisable
    return pairs, None
