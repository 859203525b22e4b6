"""Memory does not grow with steps, optimizers, files, runs and fits; the tool has the long form."""

import sys

import growing_memory
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read where Linux tells it")


@pytest.mark.parametrize(
    ("work", "times"),
    [
        (growing_memory.dense_steps, 20_000),
        *(pytest.param(work, max(50, n // 50), marks=pytest.mark.slow) for work, n in growing_memory.WORK.items()),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_memory_does_not_grow(work, times):
    grown, traced = growing_memory.growth(work(), times)
    assert grown <= growing_memory.MOST
    assert traced <= growing_memory.MOST_TRACED
