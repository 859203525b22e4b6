"""Commands as a shell would run them, within the process of the tests."""

import logging

import numpy as np
import pytest

from fastadagrad import cli


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


@pytest.fixture(autouse=True)
def no_handlers_left():
    logger = logging.getLogger("fastadagrad")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


def run(capsys, *arguments):
    status = cli.main([str(a) for a in arguments])
    return status, *capsys.readouterr()
