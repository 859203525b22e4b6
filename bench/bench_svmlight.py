"""Reading svmlight text from a file that the operating system has in memory."""

from __future__ import annotations

from pathlib import Path

import data
import numpy as np
import pytest
from race import OURS, NewRace

from fastadagrad.data.loading import load

TEXTS = {
    "a9a": data.a9a,
    "generated like a9a": data.like_a9a,
    "generated, 6 digits a value": data.real_values,
}
SKLEARN = "scikit-learn"


@pytest.mark.parametrize("name", TEXTS)
def test_read_svmlight(new_race: NewRace, quick: bool, tmp_path: Path, name: str) -> None:
    race = new_race(f"read svmlight, {name}")
    try:
        text = TEXTS[name](2000 if quick else data.ROWS)
    except data.Absent as absence:
        race.give_up(str(absence))
    path = tmp_path / "text.svm"
    path.write_bytes(text)
    race.amount, race.unit = len(text) / 1e6, "MB"
    race.add(OURS, lambda: load(path, dtype=np.float64))
    sklearn = race.optional("scikit-learn", SKLEARN, module="sklearn.datasets")
    if sklearn:
        ours, (X, y) = load(path, dtype=np.float64), sklearn.load_svmlight_file(str(path))
        for mine, theirs in ((ours.features.data, X.data), (ours.features.indices, X.indices), (ours.labels, y)):
            np.testing.assert_array_equal(mine, theirs)
        race.add(SKLEARN, lambda: sklearn.load_svmlight_file(str(path)))
    race.run(rounds=3 if quick else 11)
    race.at_least(10, SKLEARN)
