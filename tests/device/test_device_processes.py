"""Parameters in GPUs' memory, stepped by several processes, for which threads stand in, with an interpreted GPU each.

No GPU has run this, and no MPI that is CUDA-aware.
"""

from itertools import pairwise

import numpy as np
import pytest
from by_gpus import trained_on
from by_processes import CASES, SHAPES, STEPS, trained
from gpu import Interpreter
from in_step import InStep, run

import fastadagrad as fa
from fastadagrad.device import backend
from fastadagrad.mpi import shards

SIZE = 3
F4 = np.float32


@pytest.fixture
def gpus(monkeypatch):
    """One for each process: whatever is at an address is done by the one that has it in its memory."""
    made = [Interpreter() for _ in range(SIZE)]

    def the_one_at(address):
        [found] = [each for each in made if each.holds(address)]
        return found

    monkeypatch.setattr(backend, "backend_at", the_one_at)
    return made


def bits(arrays):
    return {name: array.tobytes() for name, array in arrays.items()}


def has_the_bits_of_one_process_and_of_the_host(gpus, case, dtype=F4, work=lambda comm: comm):
    on_host, _ = trained(SIZE, False, *CASES[case], dtype)
    alone = trained_on(gpus[0], SIZE, *CASES[case], dtype)
    together = run(SIZE, lambda comm: trained_on(gpus[comm.rank], SIZE, *CASES[case], dtype, work(comm)))
    assert bits(alone) == bits(on_host)
    assert [bits(each) for each in together] == [bits(alone)] * SIZE


QUICK = ["adagrad", "adam", "momentum", "global norm", "norm of each", "row", "tensor", "frozen"]


@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_dense(gpus, case):
    has_the_bits_of_one_process_and_of_the_host(gpus, case)


@pytest.mark.slow
def test_in_double_precision(gpus):
    has_the_bits_of_one_process_and_of_the_host(gpus, "adagrad", np.float64)


@pytest.mark.parametrize("case", ["adam", "global norm"])
def test_each_parameter_with_messages_of_its_own(gpus, case, monkeypatch):
    monkeypatch.setattr(shards, "TOGETHER", 0)
    has_the_bits_of_one_process_and_of_the_host(gpus, case)


class CudaAware(InStep):
    """Processes whose MPI takes what is in a GPU's memory, and that note the addresses of it."""

    is_cuda_aware = True

    def __init__(self, comm, gpu):
        super().__init__(comm.rank, comm.size, comm._barrier, comm._board)
        self.gpu, self.straight, self.by_host = gpu, [], 0

    def complete(self, array, bounds):
        if isinstance(array, np.ndarray):
            self.by_host += 1
            return super().complete(array, bounds)
        assert self.gpu.log[-1] == "synchronize", "MPI does not wait for the GPU"
        whole, parts = self._memory(array), [array[start:stop] for start, stop in pairwise(bounds)]
        self.straight.append(array.__cuda_array_interface__["data"])
        for part, came in zip(parts, self.all_of(self._memory(parts[self.rank]).tobytes()), strict=True):
            self._memory(part)[...] = np.frombuffer(came, np.uint8)
        assert sum(part.nbytes for part in parts) == whole.size
        return lambda: None

    def _memory(self, array):
        """What is said to be there, and has to be in the memory of this process's GPU."""
        interface = array.__cuda_array_interface__
        size = interface["shape"][0] * np.dtype(interface["typestr"]).itemsize
        return self.gpu._bytes(interface["data"][0], size)


@pytest.mark.parametrize("case", ["adam", "global norm"])
def test_a_cuda_aware_mpi_is_given_the_memory_of_the_gpu(gpus, case, monkeypatch):
    monkeypatch.setattr(shards, "TOGETHER", 0)
    made = [None] * SIZE

    def aware(comm):
        made[comm.rank] = CudaAware(comm, gpus[comm.rank])
        return made[comm.rank]

    has_the_bits_of_one_process_and_of_the_host(gpus, case, work=aware)
    for each in made:
        assert len(each.straight) == STEPS * len(SHAPES)
        assert {read_only for _, read_only in each.straight} == {False}
        assert each.by_host == len(SHAPES)  # by which all begin with the parameters of process 0


def test_all_have_to_be_cuda_aware(gpus, monkeypatch):
    monkeypatch.setattr(shards, "TOGETHER", 0)

    def step(comm):
        comm = CudaAware(comm, gpus[comm.rank])
        comm.is_cuda_aware = comm.rank != 1
        w = comm.gpu.array(np.zeros(9000, F4))
        fa.SGD(params=w, learning_rate=1.0, comm=comm).step(comm.gpu.array(np.full(9000, comm.rank, F4)))
        return comm.straight, set(w.numpy().tolist())

    assert run(SIZE, step) == [([], {-1.0})] * SIZE


def test_small_arrays_go_together_through_the_host(gpus):
    def step(comm):
        comm = CudaAware(comm, gpus[comm.rank])
        params = [comm.gpu.array(np.zeros(n, F4)) for n in (9000, 3)]
        opt = fa.SGD(params=params, learning_rate=1.0, comm=comm)
        comm.by_host = 0
        opt.step([comm.gpu.array(np.full(p.shape, comm.rank, F4)) for p in params])
        return comm.straight, comm.by_host, {x for p in params for x in p.numpy().tolist()}

    assert run(SIZE, step) == [([], 1, {-1.0})] * SIZE


def test_each_process_has_the_state_of_its_part(gpus):
    def state(comm):
        gpu = gpus[comm.rank]
        opt = fa.ADAGRAD(params=gpu.array(np.ones(20_000, F4)), comm=comm)
        slot = opt.state["param0"]["accumulator"]
        assert gpu.holds(slot.address)
        return slot.shape[0]

    assert run(SIZE, state) == [8192, 4096, 7712]


def test_work_on_any_stream_is_done_before_gradients_are_read_and_all_is_done_after_the_step(gpus):
    def step(comm):
        gpu = gpus[comm.rank]
        opt = fa.SGD(params=gpu.array(np.zeros(9000, F4)), comm=comm, nonfinite="ignore")
        gradient = gpu.array(np.ones(9000, F4), stream=7)
        gpu.log.clear()
        opt.step(gradient)
        assert gpu.log[:3] == ["synchronize", "read", "synchronize"]
        assert gpu.log[-1] == "synchronize"

    run(SIZE, step)


def test_processes_that_step_nothing(gpus):
    def step(comm):
        gpu = gpus[comm.rank]
        w = gpu.array(np.zeros(3, F4))
        opt = fa.SGD(params=w, learning_rate=1.0, max_global_norm=1.0, comm=comm)
        opt.step(gpu.array(np.array([0, 3, 4], F4) * comm.rank))
        return w.numpy().tolist()

    assert run(SIZE, step) == [np.array([0, -0.6, -0.8], F4).tolist()] * SIZE


GOOD = np.ones(9000, F4)
BAD = {
    "NaN": (lambda gpu: gpu.array(np.full(9000, np.nan, F4)), FloatingPointError, "must be finite"),
    "shape": (lambda gpu: gpu.array(GOOD[:3]), ValueError, "must have shape"),
    "dtype": (lambda gpu: gpu.array(np.ones(9000)), TypeError, "must have dtype"),
    "on the host": (lambda gpu: GOOD, TypeError, "must be a device array, as its parameter is"),
    "rows": (
        lambda gpu: fa.Rows(gpu.array(np.array([1])), gpu.array(np.ones(1, F4))),
        TypeError,
        "is sparse, which comm= takes for parameters in the host's memory only",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_one_process_refuses_all_refuse_and_nothing_is_changed(gpus, case):
    bad, error, message = BAD[case]

    def step(comm):
        gpu = gpus[comm.rank]
        w = gpu.array(np.zeros(9000, F4))
        opt = fa.ADAGRAD(params=w, momentum=0.5, comm=comm)
        opt.step(gpu.array(GOOD))

        def all_there_is():
            return bits({"w": w.numpy(), **{s: a.to_host() for s, a in opt.state["param0"].items()}})

        before = all_there_is()
        with pytest.raises(error, match=message):
            opt.step(bad(gpu) if comm.rank == 1 else gpu.array(GOOD))
        assert all_there_is() == before
        assert opt.steps == 1
        opt.step(gpu.array(GOOD))
        return all_there_is()["w"]

    first, *others = run(SIZE, step)
    assert others == [first] * (SIZE - 1)


def test_rows_are_read_from_the_parameter_itself(gpus):
    def read(comm):
        opt = fa.ADAGRAD(params=gpus[comm.rank].array(np.zeros((9000, 2), F4)), comm=comm)
        with pytest.raises(TypeError, match="on a GPU all processes have all rows, with comm=: index the parameter"):
            opt.read_rows("param0", np.array([1]))

    run(SIZE, read)


def test_all_parameters_are_on_gpus_or_none_are(gpus):
    def make(comm):
        w = gpus[comm.rank].array(GOOD) if comm.rank else GOOD.copy()
        with pytest.raises(ValueError, match="the place of parameters is"):
            fa.ADAGRAD(params=w, comm=comm)

    run(SIZE, make)


@pytest.mark.parametrize("what", ["page_locked", "allocate"])
def test_memory_that_one_process_lacks_is_asked_for_before_anything_is_changed(gpus, what, monkeypatch):
    def refuse(size):
        raise RuntimeError("CUDA's driver answers CUDA_ERROR_OUT_OF_MEMORY")

    def make(comm):
        w = gpus[comm.rank].array(np.full(9000, comm.rank, F4))
        comm.all_of("made")
        if comm.rank == 1:
            monkeypatch.setattr(gpus[1], what, refuse)
        with pytest.raises(RuntimeError, match="OUT_OF_MEMORY"):
            fa.ADAGRAD(params=w, comm=comm)
        assert (w.numpy() == comm.rank).all()

    run(SIZE, make)


def test_infinite_accumulators_are_told_of(gpus, caplog):
    def step(comm):
        gpu = gpus[comm.rank]
        opt = fa.ADAGRAD(params=gpu.array(np.zeros(20_000, F4)), comm=comm)
        for _ in range(3):
            opt.step(gpu.array(np.full(20_000, 1e30, F4)))

    run(SIZE, step)  # in threads, for which there are no warnings of their own: here they are errors, which are logged
    assert sum("has become infinite" in line for line in caplog.messages) == SIZE


X = np.random.default_rng(0).standard_normal((10, 9000)).astype(F4)


def trained_by_minimize(comm, array, path=None):
    """A run whose last batch has one sample, for one process; what it leaves, and what a file gives back."""

    def loss(w, x):
        w = w if isinstance(w, np.ndarray) else w.numpy()
        error = w - x
        return float((error * error).mean()), array((2 * error / error.size).sum(0))

    w = array(np.zeros(9000, F4))
    opt = fa.ADAGRAD(loss, w, learning_rate=0.1, comm=comm)
    opt.minimize([X], [X[:2]], max_epochs=3, batch_size=3, rng=0)
    if path is None:
        return w, opt
    opt.save(path)
    other = array(np.zeros(9000, F4))
    again = fa.ADAGRAD(loss, other, learning_rate=0.1, comm=comm)
    assert again.load(path) == []
    for each in (opt, again):
        each.step(array(X[comm.rank]))
    assert other.numpy().tobytes() == w.numpy().tobytes()
    return w, opt


def test_a_run_and_its_file(gpus, tmp_path):
    path = tmp_path / "opt.npz"

    def on_gpu(comm):
        return trained_by_minimize(comm, gpus[comm.rank].array, path)[0].numpy().tobytes()

    def on_host(comm):
        w, opt = trained_by_minimize(comm, np.array)
        opt.step(X[comm.rank])
        return w.tobytes()

    assert run(SIZE, on_gpu) == run(SIZE, on_host)
    w = np.zeros(9000, F4)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1)
    assert opt.load(path) == []
