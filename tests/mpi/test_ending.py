"""How long a process waits for the others."""

import pytest

from fastadagrad.mpi import ending


@pytest.mark.parametrize(("given", "expected"), [(None, 3600.0), ("0", 0.0), ("2.5", 2.5), ("1e4", 1e4)])
def test_seconds(monkeypatch, given, expected):
    if given is None:
        monkeypatch.delenv(ending.LONGEST_WAIT, raising=False)
    else:
        monkeypatch.setenv(ending.LONGEST_WAIT, given)
    assert ending.longest_wait() == expected


@pytest.mark.parametrize("given", ["", "-1", "nan", "an hour"])
def test_no_seconds(monkeypatch, given):
    monkeypatch.setenv(ending.LONGEST_WAIT, given)
    with pytest.raises(ValueError, match="FASTADAGRAD_MPI_TIMEOUT must be a number of seconds, 0 for no limit, not"):
        ending.longest_wait()
