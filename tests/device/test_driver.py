"""CUDA's driver as the optimizer calls it, with stand-ins for its functions: what is asked of which stream, and when.

No GPU has run this unless tests marked gpu have.
"""

import gc
import os
import threading
import weakref

import numpy as np
import pytest
from gpu import Interpreter
from in_step import run
from oracle import Oracle, bits_differ
from stand_in import cuda, installed

import fastadagrad as fa
from fastadagrad.device.driver import driver_at
from fastadagrad.kernels.cuda.finite import make_finite_check


@pytest.fixture
def driver(monkeypatch):
    with installed(monkeypatch) as stand_in:
        yield stand_in


def make(driver, which=0, n=70, **kwargs):
    p, g = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    gpu = driver.gpus[which]
    return gpu.array(p, **kwargs), gpu.array(g, **kwargs), Oracle([p], learning_rate=0.1), g


def test_steps(driver):
    p, g, oracle, host = make(driver)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1)
    for _ in range(3):
        opt.step(g)
        oracle.step([host])
    assert bits_differ(p.numpy(), oracle.p[0]) == 0
    assert bits_differ(opt.state["param0"]["accumulator"].to_host(), oracle.G[0]) == 0
    assert len(driver.modules) == 3  # the check, and the update with vectors and without, once each


def test_rows_that_are_caught_up(driver):
    array, table = driver.gpus[0].array, np.ones((20, 3), np.float32)
    p, host = array(table), table.copy()
    for params, place in ((p, array), (host, np.asarray)):
        opt = fa.ADAGRAD(params=params, learning_rate=0.1, momentum=0.5)
        for number in (3, 7):
            opt.step(fa.Rows(place(np.array([number, number])), place(np.ones((2, 3), np.float32))))
        opt.flush()
    np.testing.assert_allclose(p.numpy(), host, 1e-6)


def test_the_second_gpu(driver):
    p, g, oracle, host = make(driver, which=1)
    fa.ADAGRAD(params=p, learning_rate=0.1).step(g)
    oracle.step([host])
    assert bits_differ(p.numpy(), oracle.p[0]) == 0
    assert driver.gpus[1].launched
    assert not driver.gpus[0].launched
    with pytest.raises(ValueError, match="must be on the GPU that has its parameter"):
        fa.ADAGRAD(params=p).step(make(driver, which=0)[0])


def test_messages_of_several_processes_go_through_page_locked_memory(driver):
    def stepped(comm):
        gpu = driver.gpus[0]
        params = [gpu.array(np.zeros(n, np.float32)) for n in (9000, 3, 5000)]
        opt = fa.SGD(params=params, learning_rate=1.0, reduction="sum", comm=comm)
        assert len(driver.page_locked) >= 2
        for _ in range(2):
            opt.step([gpu.array(np.arange(p.shape[0], dtype=np.float32) + comm.rank) for p in params])
        return [p.numpy().copy() for p in params]

    for found in run(2, stepped):
        for p in found:
            assert p.tolist() == [-2.0 * (2 * i + 1) for i in range(p.size)]
    gc.collect()
    assert not driver.page_locked


ARRIVED, FINISHED = 1, 2  # the first two events


def test_streams(driver):
    (p, *_), (_, g, *_) = make(driver, stream=8), make(driver, stream=5)
    opt = fa.ADAGRAD(params=p, nonfinite="ignore")
    for number in range(2):
        driver.calls.clear()
        opt.step(g)
        made = [("record", FINISHED, 1)] if number == 0 else []  # the optimizer was made on the default stream
        assert [call for call in driver.calls if call[:2] != ("record", 3)] == [
            *made,
            ("wait", 5, FINISHED),  # for what was done before
            ("record", ARRIVED, 8),
            ("wait", 5, ARRIVED),
            ("launch", 5),
            ("record", FINISHED, 5),
            ("wait", 8, FINISHED),
            ("wait", 1, FINISHED),
        ]


def test_a_parameter_that_names_no_stream_is_on_the_default_one(driver):
    (p, *_), (_, g, *_) = make(driver, stream=None), make(driver, stream=5)
    opt = fa.ADAGRAD(params=p, nonfinite="ignore")
    driver.calls.clear()
    opt.step(g)
    assert ("record", ARRIVED, 1) in driver.calls
    assert driver.calls[-1] == ("wait", 1, FINISHED)


@pytest.mark.parametrize("deferred", [False, True])
def test_streams_may_end(driver, deferred):
    p, g, *_ = make(driver, stream=8)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1, deferred=deferred)
    opt.step(g)
    driver.ended.add(8)
    opt.state["param0"]["accumulator"].to_host()
    p.stream = g.stream = 9
    opt.step(g)
    opt.set_params(p)


def test_rows_are_brought_up_to_date_on_the_parameters_stream(driver):
    table = driver.gpus[0].array(np.ones((20, 3), np.float32), stream=8)
    rows = fa.Rows(*(driver.gpus[0].array(x, stream=8) for x in (np.array([3]), np.ones((1, 3), np.float32))))
    opt = fa.ADAGRAD(params=table, momentum=0.5)
    opt.step(rows)
    for read in (opt.flush, lambda: opt.read_rows("param0", driver.gpus[0].array(np.array([1]), stream=None))):
        opt.step(rows)
        driver.calls.clear()
        read()
        assert {call[1] for call in driver.calls if call[0] == "launch"} == {8}
        assert ("wait", 1, FINISHED) in driver.calls


@pytest.mark.parametrize("stream", [None, 1])
def test_what_is_read_is_kept_until_it_has_been(driver, stream):
    """An array on the step's own stream is not kept: its library gives the memory to later work on that stream."""
    p, *_ = make(driver)
    opt = fa.ADAGRAD(params=p, nonfinite="ignore")

    def step():
        g = make(driver, stream=stream)[1]
        opt.step(g)
        return weakref.ref(g)

    driver.all_done = False
    gone = step()
    step()
    gc.collect()
    assert (gone() is None) == (stream == 1)
    driver.all_done = True
    step()
    gc.collect()
    assert gone() is None


def test_threads_take_turns(driver):
    pairs = [make(driver, stream=stream) for stream in (8, 9)]
    opts = [fa.ADAGRAD(params=p, learning_rate=0.1) for p, *_ in pairs]

    def train(opt, g):
        for _ in range(5):
            opt.step(g)

    threads = [threading.Thread(target=train, args=(opt, g)) for opt, (_, g, *_) in zip(opts, pairs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for p, _, oracle, host in pairs:
        for _ in range(5):
            oracle.step([host])
        assert bits_differ(p.numpy(), oracle.p[0]) == 0


def test_not_after_a_fork(driver, monkeypatch):
    p, *_ = make(driver)
    fa.ADAGRAD(params=p)
    monkeypatch.setattr(os, "getpid", lambda: 0)
    with pytest.raises(RuntimeError, match="forked from one that has used them: use spawn"):
        fa.ADAGRAD(params=p)


def test_memory_is_given_back(driver):
    p, g, *_ = make(driver)
    opt = fa.ADAGRAD(params=p)
    opt.step(g)
    assert driver.allocations
    del opt
    gc.collect()
    assert not driver.allocations


def test_what_the_driver_refuses(driver, monkeypatch):
    p, g, *_ = make(driver)
    refused = cuda.CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION
    monkeypatch.setattr(cuda, "cuModuleLoadDataEx", lambda image, count, options, values: (refused, None))
    expected = r"UNSUPPORTED_PTX_VERSION \(the words for 222\); the kernels need a driver of version 525"
    with pytest.raises(RuntimeError, match=expected):
        fa.ADAGRAD(params=p).step(g)


def test_what_the_drivers_compiler_says_is_told(driver, monkeypatch):
    p, g, *_ = make(driver)

    def refuses(image, count, options, values):
        said = b"ptxas: line 3, unknown instruction"
        values[0][: len(said)] = said
        return cuda.CUresult.CUDA_ERROR_INVALID_PTX, None

    monkeypatch.setattr(cuda, "cuModuleLoadDataEx", refuses)
    with pytest.raises(RuntimeError, match=r"INVALID_PTX \(.*\); ptxas: line 3, unknown instruction$"):
        fa.ADAGRAD(params=p).step(g)


def test_a_lost_context_is_told(driver, monkeypatch):
    p, g, *_ = make(driver)
    lost = cuda.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    with monkeypatch.context() as patch:
        patch.setattr(cuda, "cuLaunchKernel", lambda *launch: (lost,))
        opt = fa.ADAGRAD(params=p, nonfinite="ignore")
        with pytest.raises(RuntimeError, match=r"ILLEGAL_ADDRESS .* is lost, .* begin a new process"):
            opt.step(g)
        assert opt.steps == 0


def test_functions_are_loaded_before_the_first_launch(driver, monkeypatch):
    p, g, *_ = make(driver)
    opt = fa.ADAGRAD(params=p)
    opt.step(g)
    assert len(driver.loaded) == 2  # the update, with vectors and without
    monkeypatch.setattr(cuda, "cuDriverGetVersion", lambda: (cuda.CUresult.CUDA_SUCCESS, 12030))
    monkeypatch.setattr(cuda, "cuFuncLoad", None)  # which older drivers lack
    fa.ADAGRAD(params=p, momentum=0.5).step(g)


def test_a_step_with_nothing_changed_is_one_launch(driver):
    """The kernel's arguments are ready, and nothing is read, recorded or waited for."""
    p, g, *_ = make(driver)
    opt = fa.ADAGRAD(params=p, nonfinite="ignore")
    opt.step(g)
    driver.calls.clear()
    for _ in range(3):
        opt.step(g)
    assert driver.calls == [("launch", 1)] * 3


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("hyper", "work"),
    [
        ({"nonfinite": "ignore"}, ["launch"]),
        ({"deferred": True}, ["launch"] * 2),
        ({"deferred": True, "nonfinite": "skip"}, ["clear", "launch", "launch"]),
    ],
    ids=["ignore", "raise", "skip"],
)
def test_a_step_can_be_captured_in_a_graph(driver, count, hyper, work):
    """Launches alone go into the graph: no events, no copies, nothing that waits."""
    pairs = [make(driver, stream=5)[:2] for _ in range(count)]
    opt = fa.ADAGRAD(params=[p for p, _ in pairs], **hyper)
    gradients = [g for _, g in pairs]
    opt.step(gradients)
    driver.captured.add(5)
    driver.calls.clear()
    opt.step(gradients)
    assert driver.calls == [(what, 5) for what in work]
    driver.captured.clear()
    opt.step(gradients)


CALLS = {
    "ignore": ({"nonfinite": "ignore"}, ["launch"]),
    "raise": ({}, ["launch", "read", "synchronize", "launch"]),
    "raise, deferred": ({"deferred": True}, ["launch", "launch"]),
    "skip, deferred": ({"deferred": True, "nonfinite": "skip"}, ["clear", "launch", "launch"]),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("hyper", CALLS)
def test_the_work_of_a_step_with_nothing_changed(driver, hyper, count):
    given, work = CALLS[hyper]
    pairs = [make(driver)[:2] for _ in range(count)]
    opt = fa.ADAGRAD(params=[p for p, _ in pairs], **given)
    for _ in range(3):
        driver.calls.clear()
        opt.step([g for _, g in pairs])
    assert [call[0] for call in driver.calls] == work


@pytest.mark.parametrize("hyper", [{}, {"nonfinite": "ignore", "max_global_norm": 1.0}], ids=["checks", "norms"])
def test_a_step_that_waits_cannot_be_captured(driver, hyper):
    p, g, *_ = make(driver, stream=5)
    opt = fa.ADAGRAD(params=p, **hyper)
    opt.step(g)
    before = p.numpy().copy()
    driver.captured.add(5)
    with pytest.raises(RuntimeError, match="a CUDA graph cannot capture this step, which waits for the GPU"):
        opt.step(g)
    driver.captured.clear()
    assert (opt.steps, bits_differ(p.numpy(), before)) == (1, 0)
    opt.step(g)


def test_other_objects_are_read_anew(driver):
    (p, g, oracle, host), (_, other, _, another) = make(driver), make(driver)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1)
    other.set(2 * another)
    for given, expected in ((g, host), (other, 2 * another), (g, host), (g, host)):
        opt.step(given)
        oracle.step([expected])
    assert bits_differ(p.numpy(), oracle.p[0]) == 0


def test_the_same_object_on_another_stream_is_waited_for(driver):
    p, g, *_ = make(driver, stream=5)
    opt = fa.ADAGRAD(params=p, nonfinite="ignore")
    opt.step(g)
    p.stream = g.stream = 9
    driver.calls.clear()
    opt.step(g)
    assert ("launch", 9) in driver.calls


def test_an_object_that_moves_its_memory_is_read_again(driver):
    p, g, oracle, host = make(driver)
    opt = fa.ADAGRAD(params=p, learning_rate=0.1)
    opt.step(g)
    g._memory = driver.gpus[0].array(-host)._memory
    opt.step(g)
    for gradient in (host, -host):
        oracle.step([gradient])
    assert bits_differ(p.numpy(), oracle.p[0]) == 0
    p._memory = driver.gpus[0].array(host)._memory
    with pytest.raises(ValueError, match="was moved in memory"):
        opt.step(g)


def test_the_driver_is_asked_for_no_work_on_nothing(driver):
    p, *_ = make(driver)
    fa.ADAGRAD(params=p)  # which makes the driver known
    here, nothing = driver_at(p.address), np.zeros((0, 3), np.float32)
    kernel = make_finite_check(np.dtype(np.float32), here.capability).elements
    driver.calls.clear()
    with here.on([5]):
        memory = here.allocate(0)
        here.write(memory.address, nothing)
        here.read(memory.address, nothing)
        here.copy(memory.address, p.address, 0)
        here.clear(memory.address, 0)
        here.launch(kernel, 0, 64, (p.address, 0, memory.address))
    assert not {call[0] for call in driver.calls} - {"wait", "record", "allocate"}


@pytest.mark.parametrize(
    ("shape", "hyper"), [((0,), {}), ((0, 3), {"accumulator": "row"}), ((4, 0), {"max_global_norm": 1.0})], ids=str
)
def test_empty_parameters(driver, shape, hyper):
    """Alone, and beside one that is not: state, steps, the best parameters and reading them back."""
    array, empty = driver.gpus[0].array, np.zeros(shape, np.float32)
    for others in ([], [np.ones(5, np.float32)]):
        params, gradients = ([array(x) for x in (empty, *others)] for _ in range(2))
        host = [x.copy() for x in (empty, *others)]
        opt, expected = (fa.ADAGRAD(params=x, learning_rate=0.1, **hyper) for x in (params, host))
        for _ in range(2):
            opt.step(gradients)
            expected.step([empty, *others])
        opt.set_params(params)
        assert opt.state["param0"]["accumulator"].to_host().shape == expected.state["param0"]["accumulator"].shape
        for found, right in zip(params, host, strict=True):
            assert bits_differ(found.numpy(), right) == 0


def test_rows_of_which_there_are_none(driver):
    array, table = driver.gpus[0].array, np.ones((20, 3), np.float32)
    none = fa.Rows(array(np.zeros(0, np.int64)), array(np.zeros((0, 3), np.float32)))
    for hyper in ({"momentum": 0.5}, {"max_global_norm": 1.0}):
        p = array(table)
        opt = fa.ADAGRAD(params=p, learning_rate=0.1, **hyper)
        for _ in range(2):
            opt.step(none)
        opt.flush()
        assert opt.read_rows("param0", array(np.zeros(0, np.int64))).to_host().shape == (0, 3)
        assert bits_differ(p.numpy(), table) == 0


def test_an_address_that_is_no_gpus(driver):
    p = Interpreter().array(np.ones(3))
    with pytest.raises(RuntimeError, match="said to be of a device array, is in no GPU's memory"):
        fa.ADAGRAD(params=p)
