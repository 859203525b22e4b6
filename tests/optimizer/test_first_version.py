"""Files of version 0.1.0 are read, and training goes on from them with the bits that it had then."""

import numpy as np
import pytest
from first_version import EXPECTED, FOLDER, MODELS, ROWS, STEPPED, iterated, results_of, stepped

import fastadagrad as fa


@pytest.fixture(scope="module")
def expected():
    with np.load(EXPECTED) as archive:
        return dict(archive)


def assert_as_then(opt, case, expected):
    found = {f"{case}.{key}": array for key, array in results_of(opt).items()}
    for key, array in found.items():
        assert array.tobytes() == expected[key].tobytes(), key
    assert {key for key in expected if key.startswith(f"{case}.") and not key.endswith(".best")} == {*found}


@pytest.mark.parametrize("case", STEPPED)
def test_steps(case, expected):
    opt, go_on = stepped(case)
    opt.load(FOLDER / f"{case}.npz")
    assert opt.steps == 3
    go_on(3, 6)
    assert_as_then(opt, case, expected)


def test_an_iteration(expected):
    opt, data, how = iterated()
    opt.load(FOLDER / "iterated.npz")
    opt.minimize(data, **how)
    assert_as_then(opt, "iterated", expected)
    assert [opt.best.loss, opt.best.epoch, opt.best.steps] == expected["iterated.best"].tolist()


@pytest.mark.parametrize("case", MODELS)
def test_models(case, expected):
    model = fa.LinearModel.load(FOLDER / f"{case}.npz")
    assert model.decision_function(ROWS).tobytes() == expected[f"{case}.scores"].tobytes()
    assert model.predict(ROWS).tolist() == expected[f"{case}.labels"].tolist()
