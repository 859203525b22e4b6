"""Choices of a simulation, all from one seed, with a record of what was chosen and of what happened.

A simulation asks one `Choices` for everything that it leaves to chance, so that its seed replays it. Whether a disk, a
network or a clock is simulated is no matter here.
"""

import random


class Choices:
    """A source of choices; `events` are the lines of its record, which is kept only where it is `recorded`."""

    def __init__(self, seed, recorded=False):
        self.seed, self._random, self._recorded = seed, random.Random(seed), recorded
        self.events = []

    def below(self, limit):
        """A number from 0 to `limit` - 1."""
        return int(self._random.random() * limit)

    def chance(self, probability):
        return self._random.random() < probability

    def one_of(self, options):
        return options[self.below(len(options))]

    def some_of(self, options):
        """Some of the options, or none or all of them, in their order."""
        return [each for each in options if self._random.random() < 0.5]

    def shuffled(self, options):
        options = [*options]
        self._random.shuffle(options)
        return options

    def hexadecimal(self, digits):
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def note(self, text, *values):
        """Add a line to the record; `values` are formatted into it only where it is kept."""
        if self._recorded:
            self.events.append(text % values if values else text)


class Unkept(AssertionError):
    """A promise that has not been kept in the simulation of a seed."""


def replayed(simulate, seed):
    """The record of a seed's simulation, a list of lines, and the promise that it has not kept, or None."""
    choices = Choices(seed, recorded=True)
    try:
        simulate(choices)
    except Unkept as unkept:
        return choices.events, unkept
    return choices.events, None


def unkept_among(simulate, seeds):
    """The seeds in whose simulation a promise is not kept, with what that is, in words."""
    found = {}
    for seed in seeds:
        try:
            simulate(Choices(seed))
        except Unkept as unkept:
            found[seed] = str(unkept)
    return found
