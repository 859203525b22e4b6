"""Fixtures of the tests of commands."""

import numpy as np
import pytest


@pytest.fixture
def text_file(tmp_path):
    """Svmlight text of a thing that can be learnt."""
    rng = np.random.default_rng(0)
    X = rng.random((200, 5)).round(3)
    path = tmp_path / "train.svm"
    path.write_text(
        "".join(
            f"{'+1' if row[0] > row[1] else '-1'} " + " ".join(f"{j + 1}:{x}" for j, x in enumerate(row)) + "\n"
            for row in X
        )
    )
    return path
