"""What is told of the work while it goes on."""

import logging
import threading

import pytest

from fastadagrad.compare import making


@pytest.mark.parametrize(("jobs", "where"), [(0, "this process"), (1, "1 process"), (8, "3 processes")])
def test_where_there_is_no_bar_lines_tell_how_far_it_is(jobs, where, monkeypatch, caplog):
    """Also during a run that takes longer than the time between two lines."""
    monkeypatch.setattr(making, "SECONDS_BETWEEN_LINES", 0.01)
    told = threading.Semaphore(0)

    class Telling(logging.Handler):
        def emit(self, record):
            told.release()

    def runs():
        for run in range(3):
            for _ in range(3):
                assert told.acquire(timeout=30)
            yield run

    handler = Telling()
    making.logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "fastadagrad"):
            assert [*making._told(runs(), 3, jobs)] == [0, 1, 2]
    finally:
        making.logger.removeHandler(handler)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:2] == [f"3 runs in {where}", "0 of 3 runs done"]
    assert {line.partition(",")[0] for line in lines[1:]} >= {f"{n} of 3 runs done" for n in range(3)}
    assert all(line.endswith(" s left") for line in lines[1:] if not line.startswith("0 of 3"))
    left = [thread for thread in threading.enumerate() if thread.name.endswith("(tell)")]
    for thread in left:
        thread.join(30)
    assert not any(thread.is_alive() for thread in left)


@pytest.mark.parametrize(
    ("passed", "done", "said"),
    [(50.0, 0, ""), (10.0, 1, ", about 30 s left"), (60.0, 2, ", about 60 s left"), (60.0, 1, ", about 3 min left")],
)
def test_how_long_it_will_take(passed, done, said):
    assert making._left(passed, done, 4) == said
