"""What the library computes has the digests that it had; `tests/tools/digests.py` has thousands of such cases more."""

import digests
import numpy as np
import pytest
from digests import Case

FILE = digests.FILE
CASES = {case.name: case for case in digests.quick_cases()}


@pytest.fixture(scope="module")
def expected():
    return digests.read(FILE.read_text())


def test_the_file_has_a_digest_of_every_case(expected):
    assert {*expected} == {*CASES}


@pytest.mark.parametrize("name", CASES)
def test_digest(name, expected):
    assert digests.outcome_of(CASES[name]) == expected[name], (
        f"{name} has other bits than it had; where that is meant, run python tests/tools/digests.py --quick {FILE}"
    )


def refuse():
    raise ValueError


def test_outcomes_and_differences():
    found = digests.digests_of([Case("a", lambda: {"x": np.ones(2)}), Case("b", refuse)])
    assert found["b"] == "refused: ValueError"
    assert digests.read(digests.written(found)) == found
    same = digests.digests_of([Case("a", lambda: {"x": np.ones(2)}), Case("c", lambda: {"x": np.ones((2, 1))})])
    assert [line.partition(":")[0] for line in digests.differences(found, same)] == ["b", "c"]
    for other in ({"x": np.array([1, -0.0])}, {"x": np.array([1, 0])}, {"y": np.ones(2)}, {"x": np.ones(2, "f4")}):
        assert digests.digest_of(other) != digests.digest_of({"x": np.array([1, 0.0])})
