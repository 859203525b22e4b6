"""Whether an MPI is CUDA-aware, by what it says of itself and by what the environment says."""

import pytest

from fastadagrad.mpi.cuda_aware import is_cuda_aware


class Info:
    def __init__(self, kinds):
        self.kinds, self.is_freed = kinds, False

    def Get(self, key):
        assert key == "mpi_memory_alloc_kinds"
        return self.kinds

    def Free(self):
        self.is_freed = True


class Comm:
    def __init__(self, kinds):
        self.info = Info(kinds)

    def Get_info(self):
        return self.info


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (None, False),
        ("", False),
        ("mpi,system", False),
        ("system,cuda", True),
        ("mpi, system, cuda:device", True),
        ("cuda:managed:device", True),
        ("system,cuda:managed,cuda:host", False),
        ("cuda:managed,cuda:device", True),
        ("rocm:device", False),
        ("system:device,cudax", False),
    ],
)
def test_the_kinds_of_memory_that_a_communicator_takes(kinds, expected, monkeypatch):
    monkeypatch.delenv("FASTADAGRAD_MPI_CUDA", raising=False)
    comm = Comm(kinds)
    assert is_cuda_aware(comm) is expected
    assert comm.info.is_freed


@pytest.mark.parametrize("kinds", [None, "system,cuda:device"])
@pytest.mark.parametrize(("given", "expected"), [("0", False), ("1", True)])
def test_the_environment_is_believed_more(kinds, given, expected, monkeypatch):
    monkeypatch.setenv("FASTADAGRAD_MPI_CUDA", given)
    assert is_cuda_aware(Comm(kinds)) is expected


@pytest.mark.parametrize("given", ["", "yes", "2"])
def test_the_environment_says_0_or_1(given, monkeypatch):
    monkeypatch.setenv("FASTADAGRAD_MPI_CUDA", given)
    with pytest.raises(ValueError, match=r"FASTADAGRAD_MPI_CUDA must be 1 .* or 0 .*, not"):
        is_cuda_aware(Comm(None))
