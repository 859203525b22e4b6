"""Files that were written before modules were put into rooms are read, and training goes on with the bits of then."""

import digests
import numpy as np
import pytest
from first_version import results_of
from flat_modules import EXPECTED, FOLDER, MODELS, MORE, SAVED, STEPPED, results_of_model, stepped

import fastadagrad as fa


@pytest.fixture(scope="module")
def expected():
    return digests.read(EXPECTED.read_text())


def test_every_file_has_a_digest(expected):
    assert {*expected} == {*STEPPED, *MODELS} == {path.stem for path in FOLDER.glob("*.npz")}


@pytest.mark.parametrize("case", STEPPED)
def test_steps(case, expected):
    opt, go_on = stepped(case)
    opt.load(FOLDER / f"{case}.npz")
    assert opt.steps == SAVED
    go_on(SAVED, SAVED + MORE)
    assert digests.digest_of(results_of(opt)) == expected[case]


@pytest.mark.parametrize("case", MODELS)
def test_models(case, expected):
    model = fa.LinearModel.load(FOLDER / f"{case}.npz")
    assert digests.digest_of(results_of_model(model, MODELS[case][1])) == expected[case]


def test_rows_lag_behind_when_a_file_is_written_and_afterwards():
    """Else the cases named for it would show nothing of it."""
    for case in (case for case in STEPPED if case.startswith("lagging")):
        opt, go_on = stepped(case)
        go_on(0, SAVED)
        lagging = opt.params["table"].copy()
        opt.flush()
        assert (lagging != opt.params["table"]).any(), case
        go_on(SAVED, SAVED + MORE)
        lagging = opt.params["table"].copy()
        opt.flush()
        assert (lagging != opt.params["table"]).any(), case


@pytest.mark.parametrize("case", STEPPED)
def test_steps_change_what_is_in_a_file(case):
    """A file of an optimizer that stood still would be read as well by code that does nothing."""
    opt, go_on = stepped(case)
    opt.load(FOLDER / f"{case}.npz")
    before = {name: np.array(p) for name, p in opt.params.items()}
    go_on(SAVED, SAVED + MORE)
    assert all((before[name] != p).any() for name, p in opt.params.items())
