"""Memory that is at an end, at every place of an operation; `tests/tools/scarce_memory.py` has the long form."""

import io
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is limited so on Linux only")
EVERY = [
    "dense step", "step by rows", "flush", "read_rows", "state", "save", "load", "twin", "set_params",
    "a hyperparameter", "another optimizer", "a linear model",
]  # fmt: skip


@pytest.mark.slow
def test_every_operation_is_tried_here():
    from scarce_memory import Subject

    assert [*Subject(0).operations()] == EVERY


@pytest.mark.parametrize(
    ("operation", "tries", "n_rows"),
    [("load", 8, 10_000), *(pytest.param(name, 10, 40_000, marks=pytest.mark.slow) for name in EVERY)],
)
def test_nothing_is_torn_and_training_goes_on(operation, tries, n_rows):
    from scarce_memory import run

    ends, wrong = run(operation, tries, 3, n_rows)
    assert wrong == []
    assert "MemoryError" in ends
    assert "done" in ends


class Full(io.RawIOBase):
    """A file that has no memory for a large write, and says after that, as `io.BytesIO` does, that it is closed."""

    failed = False

    def writable(self):
        return True

    def write(self, content):
        if self.failed:
            raise ValueError("I/O operation on closed file.")
        if len(content) > 1000:
            self.failed = True
            raise MemoryError
        return len(content)


def test_save_tells_the_first_failure():
    import fastadagrad as fa

    with pytest.raises(MemoryError):
        fa.ADAGRAD(params=np.zeros(1000)).save(Full())
