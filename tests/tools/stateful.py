"""Optimizers and their model in NumPy, given the same calls of all kinds, and compared to the bit after each.

``python tests/tools/stateful.py --calls 100000 --seed 1`` makes so many calls, of all methods in turn, and tells of
every difference, each with the seed of its history, which ``--history SEED`` replays.
"""

import argparse
import copy
import io
import pickle
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from choices import Choices, Unkept, replayed
from compared import insist
from driven_runs import Runs
from planned_world import WORLD
from refused_calls import CONTRACT, REFUSED
from stateful_kinds import F8, KINDS, RATES, SHAPES


class Machine(Runs):
    """An optimizer and its model, and the calls that both are given."""

    def do(self, name):
        """Make a call by its name; it is compared what has become of both."""
        self.choices.note("%s", name)
        getattr(self, name)()
        self.compare(sometimes=True)

    def step(self):
        given, plain = self.gradients()
        self.opt.step([*given.values()] if self.choices.chance(0.3) else given)
        self.stepped(plain)

    def stepped(self, plain):
        self.model.step(plain)
        self.model.changes += 1

    def step_densely(self):
        given, plain = self.gradients(self.dense)
        if self.choices.chance(0.3) and self.kind.method != "ESGD" and all(g is not None for g in given.values()):
            for name, buffer in self.opt.gradients.items():
                buffer[...] = given[name]
            self.opt.step()
        else:
            self.opt.step(given)
        self.stepped(plain)

    def step_without_a_number(self):
        """A gradient that is not finite: refused, or skipped."""
        name = self.choices.one_of([*SHAPES])
        given, plain = self.gradients()
        g = np.array(plain[name][0])
        g[...] = self.choices.one_of([np.nan, np.inf, -np.inf])
        given[name], plain[name] = g, (g, None)
        found, expected = (_outcome(step, x) for step, x in ((self.opt.step, given), (self.model.step, plain)))
        insist(found == expected, "a gradient that is not finite: %s, and by the model %s", found, expected)
        if expected is None and all(map(self.model.is_frozen, [name])):
            self.model.changes += 1

    def step_alone(self):
        frozen = self.model.is_frozen
        names = [name for name in SHAPES if not frozen(name)]
        if not (self.kind.alone and names) or self.model.in_force().get("max_global_norm"):
            return
        name = self.choices.one_of(names)
        given, g, rows = self.gradient(name)
        dict(self.opt.get_updates())[name](given)
        self.model.update(name, g, rows)

    def change(self):
        """Another value of a hyperparameter."""
        name, values = self.choices.one_of([*{"learning_rate": self.rates(), **self.kind.changes}.items()])
        value = self.choices.one_of(values)
        if self.choices.chance(0.5):
            setattr(self.opt.hyper, name, value)
        else:
            self.opt.hyper.update(**{name: value})
        self.model.change(**{name: value})

    def rates(self):
        return [*RATES, *self.kind.schedules]

    def set_rate(self):
        """As before every step of a schedule by hand."""
        rate = self.choices.one_of(RATES)
        self.opt.hyper.learning_rate = rate
        self.model.change(learning_rate=rate)

    def change_what_is_watched(self):
        how = self.choices.one_of([{"nonfinite": "raise"}, {"nonfinite": "skip"}, {"patience": 1}, {"patience": 3}])
        self.opt.hyper.update(**how)
        self.model.change(**how)

    def group(self):
        """Freeze parameters, thaw them, or give them a rate of their own."""
        if not self.kind.groups:
            return
        own = [{"frozen": True}, {"learning_rate": 0.3}, {"frozen": False}, {}]
        groups = {name: self.choices.one_of(own) for name in self.choices.some_of([*SHAPES])}
        self.opt.hyper.groups = groups
        self.model.change(groups=groups)

    def flush(self):
        self.opt.flush()

    def read_rows(self):
        name = self.choices.one_of([n for n in SHAPES if SHAPES[n]])
        indices = self.random.integers(SHAPES[name][0], size=self.choices.below(6))
        found = self.opt.read_rows(name, indices)
        self.same(f"rows of {name}", found, self.model.p[name][indices], name)

    def write(self):
        """Parameters are written to by hand."""
        if not self.kind.by_hand:
            return
        self.opt.flush()
        values = {name: self.numbers(SHAPES[name], F8) for name in self.choices.some_of([*SHAPES])}
        for name, value in values.items():
            self.opt.params[name][...] = value
        self.model.write(values)

    def set_params(self):
        if self.choices.chance(0.3) and self.model.best:
            self.opt.set_params("best")
            self.model.set_params(self.model.best[2])
            return
        if self.kind.from_zero and self.model.unused:
            return
        values = {name: self.numbers(shape, self.opt.params[name].dtype) for name, shape in SHAPES.items()}
        self.opt.set_params([*values.values()] if self.choices.chance(0.5) else values)
        self.model.set_params(values)

    def reset(self):
        if self.kind.from_zero:
            zeros = {name: np.zeros_like(p) for name, p in self.opt.params.items()}
            self.opt.set_params(zeros)
            self.model.set_params(zeros)
        self.opt.reset()
        self.model.reset()

    def evaluate(self):
        WORLD.begin({})
        found = self.opt.evaluate(None)
        WORLD.begin({})
        expected = self.model.value()
        self.near("an evaluation", [found["loss"], found["m"]], expected)

    def copied(self):
        """Go on with a copy, or with the original while the copy takes a step."""
        ways = {"twin": lambda opt: opt.twin(), "deepcopy": copy.deepcopy, "pickle": _pickled, "file": self.loaded}
        way = self.choices.one_of([*ways])
        self.choices.note("    by %s", way)
        self.compare()  # lagging rows are caught up in all of these
        other = ways[way](self.opt)
        opt, self.opt = self.opt, other
        self.compare()
        if self.choices.chance(0.5):
            given, _ = self.gradients(self.dense)
            self.opt = opt
            other.step(given)

    def loaded(self, opt):
        """Another optimizer, that has loaded the file of this one."""
        file, hyper = io.BytesIO(), dict(self.model.hyper)
        opt.save(file)
        takes = self.choices.chance(0.5)
        if takes:
            hyper = {
                **self.hyper,
                **({"learning_rate": hyper["learning_rate"]} if callable(hyper["learning_rate"]) else {}),
            }
        other, _ = self.made(hyper)
        if self.choices.chance(0.5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other.step(self.gradients(self.dense)[0] | self._thawed(other))
        file.seek(0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*cannot hold callables")
            left_out = other.load(file, hyper=takes)
        insist(left_out == [], "%s", left_out)
        return other

    def _thawed(self, other):
        return {name: self.dense(name)[0] for name in SHAPES if not other.hyper.groups.get(name, {}).get("frozen")}

    def refused(self):
        """A call that makes no sense, and changes nothing."""
        name = self.choices.one_of([*REFUSED])
        self.choices.note("    %s", name)
        try:
            REFUSED[name](self)
        except CONTRACT:
            return
        raise Unkept(f"it is not refused: {name}")


def _outcome(step, gradients):
    try:
        step(gradients)
    except FloatingPointError:
        return FloatingPointError


def _pickled(opt):
    return pickle.loads(pickle.dumps(opt))


CALLS = {
    "step": 12,
    "step_densely": 8,
    "step_without_a_number": 2,
    "step_alone": 3,
    "change": 4,
    "set_rate": 3,
    "change_what_is_watched": 1,
    "group": 2,
    "flush": 1,
    "read_rows": 2,
    "write": 2,
    "set_params": 2,
    "reset": 1,
    "evaluate": 2,
    "copied": 2,
    "refused": 10,
    "run": 4,
    "resume": 1,
}
_WEIGHED = [name for name, weight in CALLS.items() for _ in range(weight)]
LENGTH = 60  # calls of a history


def history(choices, kind=None, length=LENGTH, counts=None):
    """Make an optimizer, and so many calls."""
    kind = kind or choices.one_of([*KINDS])
    choices.note("%s", kind)
    name = "made"
    try:
        machine = Machine(choices, kind)
        for _ in range(length):
            name = choices.one_of(_WEIGHED)
            machine.do(name)
            if counts is not None:
                counts[name] += 1
    except Unkept as unkept:
        raise Unkept(f"{kind}, {name}: {unkept}") from None
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        raise Unkept(f"{kind}, {name}: {type(error).__name__}: {error} in {where}") from error


def many(calls, seed, kinds=None, counts=None):
    """What has been wrong in so many calls, by the seed of the history, in words."""
    wrong, counts = {}, Counter() if counts is None else counts
    kinds, number = [*(kinds or KINDS)], 0
    while sum(counts.values()) < calls and len(wrong) < 20:
        kind, own = kinds[number % len(kinds)], f"{kinds[number % len(kinds)]}/{seed}/{number}"
        try:
            history(Choices(own), kind, counts=counts)
        except Unkept as unkept:
            wrong[own] = str(unkept)
        number += 1
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append")
    parser.add_argument("--history", help="the seed of a history, as it is printed")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.history:
        kind = arguments.history.split("/")[0]
        events, unkept = replayed(lambda choices: history(choices, kind), arguments.history)
        print(*events, unkept or "no difference", sep="\n")
        return 1 if unkept else 0
    counts, began = Counter(), time.perf_counter()
    wrong = many(arguments.calls, arguments.seed, arguments.kind, counts)
    for own, what in wrong.items():
        print(f"history {own!r}: {what}")
    print(", ".join(f"{name} {count}" for name, count in counts.most_common()))
    seconds = time.perf_counter() - began
    print(f"{sum(counts.values())} calls, {len(wrong)} histories with a difference, in {seconds:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
