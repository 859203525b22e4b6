"""Whether mpiexec has started this process, as its environment says."""

from types import SimpleNamespace

import pytest

from fastadagrad.mpi import launched


@pytest.fixture
def told(monkeypatch):
    for name in (*launched.SIZES, launched.NUMBER):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize("environment", [{}, {"PMI_SIZE": "1"}, {"OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0"}])
def test_one_process_needs_no_mpi(told, monkeypatch, environment):
    monkeypatch.setattr(launched, "needed", lambda *_: pytest.fail("MPI is imported"))
    for name, value in environment.items():
        told(name, value)
    assert not launched.is_one_of_several("fit")


@pytest.mark.parametrize("environment", [{"PMI_SIZE": "3"}, {"OMPI_COMM_WORLD_SIZE": "2"}, {"PMIX_RANK": "0"}])
@pytest.mark.parametrize("size", [1, 3])
def test_mpi_is_asked(told, monkeypatch, environment, size):
    world = SimpleNamespace(COMM_WORLD=SimpleNamespace(Get_size=lambda: size))
    monkeypatch.setattr(launched, "needed", lambda *_: world)
    for name, value in environment.items():
        told(name, value)
    assert launched.is_one_of_several("fit") == (size > 1)
