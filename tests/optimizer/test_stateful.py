"""Optimizers given calls of all kinds, which leave what they leave in a model in NumPy, to the bit."""

import numpy as np
import pytest
from choices import Choices, Unkept
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from stateful import CALLS, Machine, history, many
from stateful_kinds import KINDS

from fastadagrad.engine.engine import Engine
from fastadagrad.engine.state import State
from fastadagrad.optimizer import keeping
from fastadagrad.optimizer.history import Ledger
from fastadagrad.optimizer.stepper import Stepper
from fastadagrad.support.stopping import Patience

QUICK = "adagrad of float64"


@pytest.mark.parametrize(
    ("calls", "seed", "kinds"),
    [(1200, 0, [QUICK]), pytest.param(6000, 100, None, marks=pytest.mark.slow)],
    ids=["some", "many"],
)
def test_calls_of_all_kinds(calls, seed, kinds):
    assert many(calls, seed, kinds) == {}


def made_of_rules(kind):
    """The same calls as rules of hypothesis, which finds a short history where one is wrong."""

    class Calls(RuleBasedStateMachine):
        @initialize(seed=st.integers(0, 1000))
        def make(self, seed):
            self.machine = Machine(Choices(seed), kind)

    def call(name):
        def do(self, seed):
            self.machine.choices = Choices(seed)
            self.machine.do(name)

        do.__name__ = name
        return rule(seed=st.integers(0, 1000))(do)

    for name in CALLS:
        setattr(Calls, name, call(name))
    return type("Calls", (Calls,), {name: call(name) for name in CALLS})


def test_hypothesis_finds_no_wrong_history():
    run_state_machine_as_test(
        made_of_rules(QUICK),
        settings=settings(max_examples=20, stateful_step_count=20, derandomize=True, deadline=None, database=None),
    )


def test_every_kind_is_of_a_method_that_has_an_oracle():
    from oracles import ORACLES

    assert {kind.method for kind in KINDS.values()} == {*ORACLES}


def nothing(*arguments, **keywords):
    """Do nothing."""


def sharing(owner, array):
    return owner


def with_no_steps(from_header):
    def made(header, best_arrays):
        return from_header({**header, "steps": 0}, best_arrays)

    return staticmethod(made)


def one_by_one(change_hyper):
    def changed(self, changes):
        for name, value in changes.items():
            change_hyper(self, {name: value})

    return changed


def without_velocities(reset):
    def done(self, settings):
        kept = [slots["velocity"].copy() for slots in self.slots.values() if "velocity" in slots]
        reset(self, settings)
        for slots in self.slots.values():
            if "velocity" in slots:
                slots["velocity"][...] = kept.pop(0)

    return done


def of_the_first(restore):
    def restored(self, arrays):
        arrays[0][...] = self.best_arrays[0]

    return restored


MOMENTUM = "adagrad, momentum of what is touched"
PLANTED = {  # what is done wrongly -> of what kind, where, and by what it is replaced
    "the best parameters are not restored": (QUICK, Ledger, "restore_best", lambda _: nothing),
    "of the best parameters one is restored": (QUICK, Ledger, "restore_best", of_the_first),
    "refused hyperparameters are taken in part": (QUICK, Stepper, "change_hyper", one_by_one),
    "twins share parameters": (QUICK, keeping, "copy_of_parameter", lambda _: sharing),
    "files lose the count of steps": (QUICK, Ledger, "from_header", with_no_steps),
    "patience ends a validation early": (QUICK, Patience, "elapsed", lambda _: property(lambda s: s.failures >= 1)),
    "reset leaves the state": (QUICK, State, "reset", lambda _: nothing),
    "reset leaves velocities": (MOMENTUM, State, "reset", without_velocities),
    "velocities stay without momentum": (MOMENTUM, State, "idle_velocities", lambda _: lambda *a: []),
    "rows are not caught up": ("adagrad, lagging", Engine, "flush", lambda _: nothing),
    "parameters that are set are not noted": ("ftrl", Stepper, "note_displacement", lambda _: nothing),
}


def histories(kind, count):
    for seed in range(count):
        history(Choices(seed), kind)


@pytest.mark.parametrize(
    "fault",
    [x if PLANTED[x][0] == QUICK else pytest.param(x, marks=pytest.mark.slow) for x in PLANTED],
)
def test_a_planted_fault_is_found(fault, monkeypatch):
    kind, place, name, planted = PLANTED[fault]
    monkeypatch.setattr(place, name, planted(getattr(place, name)))
    with pytest.raises(Unkept, match=kind):
        histories(kind, 100)


def test_a_difference_of_one_bit_is_told():
    machine = Machine(Choices(0), QUICK)
    machine.model.p["a"][3, 1] = np.nextafter(machine.model.p["a"][3, 1], 9)
    with pytest.raises(Unkept, match="a is"):
        machine.compare()
