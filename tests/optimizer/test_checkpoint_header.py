"""Every field of the header of an optimizer's file, missing, of another kind, or beside one that nobody knows."""

import copy
import io
import re

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.support import array_file

X = np.arange(14.0).reshape(7, 2)


def pull(p, x):
    return float(abs(p["w"] - x[0]).max()), {"w": p["w"] - x[0], "f": None}


def optimizer(value=1.0):
    params = {"w": np.full(2, value), "f": np.ones(1)}
    groups = {"w": {"momentum": 0.5}, "f": {"frozen": True}}
    return fa.ADAGRAD(pull, params, learning_rate=0.1, groups=groups)


def data():
    return fa.Dataset(X, name="data", batch_size=2, rng=0)


def saved_in_midrun():
    """Of an optimizer of which every part of the header has something in it."""
    opt = optimizer()
    for _, update in opt.get_updates():
        update(np.ones(2))
    for _ in opt.iterate(data(), X, learning_rate=0.3, validate_every=1, groups=dict(opt.hyper.groups), max_epochs=3):
        file = io.BytesIO()
        opt.save(file)
    return array_file.read(io.BytesIO(file.getvalue()), "optimizer")


HEADER, ARRAYS = saved_in_midrun()
MAY_BE_MISSING = {("random",), ("displaced",), ("hyper",), ("run", "hyper"), ("run", "patience", "lowest")}
MAY_BE_MISSING |= {("ledger", "validations"), ("run", "begun")}
OPEN = {  # dicts whose keys are names
    ("ledger", "updates"),
    ("ledger", "best", "monitors"),
    ("late",),
    ("run", "progress", "valid"),
    ("run", "progress", "sums"),
    ("hyper",),  # not all of which there were in every version
    ("hyper", "groups"),
    ("run", "hyper"),
    ("run", "hyper", "groups"),
    ("run", "begun"),
    ("run", "begun", "groups"),
}
NO_CONTENT = {"random", "drawn_from"}  # of which generators judge themselves


def places(part, at=()):
    """Where all fields are."""
    for key, value in part.items():
        yield (*at, key)
        if isinstance(value, dict) and key not in NO_CONTENT:
            yield from places(value, (*at, key))


def altered(place, change):
    header = copy.deepcopy(HEADER)
    part = header
    for key in place[:-1]:
        part = part[key]
    change(part, place[-1])
    return header


def others(value, alike):
    """Values of other kinds than this one, and than those that are as good here."""
    kinds = [None, True, 3, 0.5, "text", [1], {"surprise": 1}, [], {}]
    alike = ({float: (int, float)}.get(type(value), (type(value),))) + alike
    return [kind for kind in kinds if type(kind) not in alike] + [10**400]


def everything(opt):
    arrays = [array.tobytes() for slots in opt.state.values() for array in slots.values()]
    arrays += [array.tobytes() for array in (*opt.params.values(), *opt._session.ledger.best_arrays)]
    return (
        arrays,
        repr(opt._session.ledger.header()),
        repr(opt.hyper),
        dict(opt._session.engine.state.late),
        opt._session._run_to_resume,
    )


def refused(header, arrays=ARRAYS, part=""):
    """See that an optimizer which has gone another way is as it was after the refusal."""
    file = io.BytesIO()
    array_file.write(file, "optimizer", header, arrays)
    opt = optimizer(2.0)
    opt.minimize(data(), max_epochs=1)
    before = everything(opt)
    for how in ({}, {"strict": False}, {"hyper": True}, {"resume": False}):
        file.seek(0)
        with pytest.raises(ValueError, match=f"the BytesIO is not a whole .*{part}|hyperparameters in the BytesIO"):
            opt.load(file, **how)
        assert everything(opt) == before


def test_the_file_from_which_all_this_is_made_is_whole():
    file = io.BytesIO()
    array_file.write(file, "optimizer", HEADER, ARRAYS)
    file.seek(0)
    opt = optimizer(2.0)
    opt.load(file, hyper=True)
    opt.minimize(data(), X, max_epochs=4, learning_rate=0.3, validate_every=1, groups=dict(opt.hyper.groups))
    assert len(opt.history) == 4
    for place in OPEN | MAY_BE_MISSING:
        altered(place, lambda part, key: part[key])  # there is such a place


PLACES = list(places(HEADER))
NONE, DICT, TEXT = type(None), dict, str
AS_GOOD = {  # by the last of the keys, kinds of values that there may be in place of those that there are
    "stopped_because": (NONE, TEXT),
    "name": (NONE, TEXT),
    "iteration_size": (NONE, int),
    "random": (NONE, DICT),
    "drawn_from": (NONE, DICT),
    "run": (NONE,),
    "best": (NONE,),
    "lowest": (NONE,),
    "learning_rate": (NONE,),  # it was a callable
}


def may_be_missing(place):
    return place in MAY_BE_MISSING or place[:-1] in OPEN or "groups" in place or place[:-1] == ("run", "datasets")


@pytest.mark.parametrize("place", [place for place in PLACES if not may_be_missing(place)], ids=str)
def test_missing(place):
    refused(altered(place, lambda part, key: part.pop(key)), part=re.escape(repr(place[-1])))


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_of_another_kind(place):
    part = HEADER
    for key in place:
        part = part[key]
    for value in others(part, AS_GOOD.get(place[-1], ())):
        refused(altered(place, lambda part, key, value=value: part.update({key: value})))


@pytest.mark.parametrize("place", [(), *(p for p in PLACES if p[-1] not in NO_CONTENT)], ids=str)
def test_with_something_else(place):
    header = copy.deepcopy(HEADER)
    part = header
    for key in place:
        part = part[key]
    if isinstance(part, dict) and place not in {p for p in OPEN if p[-1] in ("valid", "sums", "monitors")}:
        part["surprise"] = 1
        refused(header, part="surprise")


INCONSISTENT = {
    "best without its parameters": lambda header, arrays: arrays.pop("best/w") is arrays.pop("best/f"),
    "its parameters without best": lambda header, arrays: header["ledger"].update(best=None),
    "a best of the run, and none": lambda header, arrays: (
        header["ledger"].update(best=None),
        [arrays.pop(name) for name in [*arrays] if name.startswith("best/")],
    ),
    "two of a name": lambda header, arrays: header["names"].append("w"),
    "the state of nothing": lambda header, arrays: arrays.update({"accumulator/x": np.zeros(2)}),
    "an array of nothing": lambda header, arrays: arrays.update({"surprise": np.zeros(2)}),
    "counts of nothing": lambda header, arrays: header["ledger"]["updates"].update(x=1),
    "a group of nothing": lambda header, arrays: header["hyper"]["groups"].update(x={}),
    "a displaced nothing": lambda header, arrays: header["displaced"].append("x"),
    "learned words": lambda header, arrays: arrays.update(learned=np.array(["a"])),
    "learned table": lambda header, arrays: arrays.update(learned=np.zeros((1, 1))),
    "an epoch too short": lambda header, arrays: header["ledger"]["history"][0].pop(),
    "a validation of epochs to come": lambda header, arrays: header["ledger"]["validations"][-1].__setitem__(0, 99),
    "an epoch of words": lambda header, arrays: header["ledger"]["history"][0].__setitem__(2, {"loss": "low"}),
    "a momentum of 2": lambda header, arrays: header["hyper"].update(momentum=2.0),
    "a patience of a half": lambda header, arrays: header["run"]["hyper"].update(patience=0.5),
    "a callable momentum": lambda header, arrays: header["hyper"].update(momentum=None),
}


@pytest.mark.parametrize("case", INCONSISTENT)
def test_parts_that_contradict_one_another(case):
    header, arrays = copy.deepcopy(HEADER), dict(ARRAYS)
    INCONSISTENT[case](header, arrays)
    refused(header, arrays)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"bit_generator": 3},
        {"bit_generator": "PCG64"},
        {"bit_generator": "PCG64", "state": {"state": "x", "inc": 3}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "MT19937", "state": {"key": [1] * 624, "pos": 700}},
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [("random",), ("run", "datasets", "train", "state", "random")], ids=str)
def test_states_of_no_generator(place, state):
    refused(altered(place, lambda part, key: part.update({key: state})), part=re.escape(".".join(place)))


@pytest.mark.parametrize("header", [None, [1], "header", {}, 3], ids=str)
def test_no_header(header):
    refused(header)


def test_hyperparameters_that_do_not_fit_here_are_told_with_the_file(tmp_path):
    """They are of another method, or of parameters that there are not."""
    fa.Adam(params={"w": np.ones(2)}, beta1_halflife=3.0).save(tmp_path / "adam")
    opt = fa.ADAGRAD(params={"w": np.ones(2)})
    with pytest.raises(ValueError, match=r"the hyperparameters in .*adam do not fit: ADAGRAD got an unexpected"):
        opt.load(tmp_path / "adam", strict=False, hyper=True)
    fa.ADAGRAD(params={"v": np.ones(2)}, groups={"v": {"momentum": 0.5}}).save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"the hyperparameters in .*other do not fit: groups got an unexpected"):
        opt.load(tmp_path / "other", strict=False, hyper=True)
