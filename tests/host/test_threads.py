"""Threads, forks and memory, each in a process of its own."""

import os
import subprocess
import sys
import textwrap

import pytest

LAYERS = ["omp", "workqueue"]

TWO_THREADS = """
    import threading
    import numpy as np, numba
    import fastadagrad as fa
    n = 300_000
    ws = [np.zeros(n), np.zeros(n)]
    opts = [fa.ADAGRAD(params=w, learning_rate=0.1) for w in ws]
    g = np.random.default_rng(0).standard_normal(n)
    opts[0].step(g), opts[1].step(g)
    def work(opt):
        for _ in range(100):
            opt.step(g)
    threads = [threading.Thread(target=work, args=(opt,)) for opt in opts]
    [t.start() for t in threads], [t.join() for t in threads]
    assert ws[0].tobytes() == ws[1].tobytes() and opts[0].steps == opts[1].steps == 101
    w = np.zeros(n)
    one = fa.ADAGRAD(params=w, learning_rate=0.1, threads=1)
    for _ in range(101):
        one.step(g)
    assert w.tobytes() == ws[0].tobytes()
    print(numba.threading_layer())
"""

ONE_OPTIMIZER = """
    import sys, threading
    import numpy as np
    import fastadagrad as fa
    sys.setswitchinterval(1e-6)
    asked = []
    opt = fa.ADAGRAD(params=np.zeros(10), learning_rate=lambda t: asked.append(t) or 0.1)
    opt.step(np.ones(10))
    def work():
        for _ in range(2000):
            opt.step(np.ones(10))
    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert asked == list(range(8001)) and opt.steps == 8001, (len(asked), opt.steps)
    assert opt.state["param0"]["accumulator"].tolist() == [8001] * 10
    print("omp")
"""

FORK = """
    import os, threading, time
    import numpy as np, numba
    import fastadagrad as fa
    n = 300_000
    w, g = np.zeros(n), np.ones(n)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1)
    opt.step(g)
    numba_layer = numba.threading_layer()
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            opt.step(g)
    thread = threading.Thread(target=busy)
    if BUSY:
        thread.start()
    for _ in range(3):
        time.sleep(0.01)
        child = os.fork()
        if child == 0:
            opt.step(g)
            v = np.zeros(n)
            other = fa.ADAGRAD(params=v, learning_rate=0.1)
            other.step(g)
            os._exit(0 if abs(v + 0.1).max() < 1e-6 else 1)
        deadline = time.monotonic() + 60
        while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
            assert time.monotonic() < deadline or os.kill(child, 9), "the child hangs"
            time.sleep(0.01)
        assert done[1] == 0, done
    stop.set()
    if BUSY:
        thread.join()
    opt.step(g)
    print(numba_layer)
"""

FORK_WHILE_COMPILING = """
    import os, threading, time
    import numpy as np
    import fastadagrad as fa
    from numba.core.compiler_lock import global_compiler_lock
    w = np.zeros(10)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1)
    thread = threading.Thread(target=opt.step, args=(np.ones(10),))
    thread.start()
    while global_compiler_lock._lock.acquire(blocking=False):
        global_compiler_lock._lock.release()
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        v = np.zeros(10)
        fa.ADAGRAD(params=v, learning_rate=0.1).step(np.ones(10))
        opt.step(np.ones(10))
        os._exit(0 if opt.steps == 2 and abs(v + 0.1).max() < 1e-6 else 1)
    deadline = time.monotonic() + 100
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        assert time.monotonic() < deadline or os.kill(child, 9), "the child hangs"
        time.sleep(0.01)
    assert done[1] == 0, done
    thread.join()
    assert opt.steps == 1
    print("omp")
"""

FORK_FINDS_WHOLE_STEPS = """
    import os, sys, threading
    import numpy as np
    import fastadagrad as fa
    sys.setswitchinterval(1e-5)
    params = {"a": np.zeros(50_000), "b": np.zeros(50_000, np.float32)}  # two launches
    gradients = {name: np.ones_like(array) for name, array in params.items()}
    opt = fa.ADAGRAD(params=params, learning_rate=0.1, momentum=0.5)
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            opt.step(gradients)
    opt.step(gradients)
    thread = threading.Thread(target=busy)
    thread.start()
    for _ in range(25):
        child = os.fork()
        if child == 0:
            whole = all((slots["accumulator"] == opt.steps).all() for slots in opt.state.values())
            opt.step(gradients)
            whole &= all((slots["accumulator"] == opt.steps).all() for slots in opt.state.values())
            os._exit(0 if whole else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    thread.join()
    assert all((slots["accumulator"] == opt.steps).all() for slots in opt.state.values())
    print("omp")
"""

FORK_FROM_WITHIN = """
    import os
    import numpy as np
    import fastadagrad as fa
    def loss(w):
        if not done:
            done.append(os.fork())
        return w @ w, 2 * w
    def rate(t):
        if t == 1 and len(done) == 1:
            done.append(os.fork())
        return 0.1
    done, parent = [], os.getpid()
    opt = fa.ADAGRAD(loss, np.ones(2), learning_rate=rate)
    opt.evaluate(None)
    opt.step(np.ones(2)), opt.step(np.ones(2))
    opt.hyper.momentum = 0.5
    opt.step(np.ones(2))
    assert opt.steps == 3
    for child in done:
        if child and os.getpid() == parent:
            assert os.waitpid(child, 0)[1] == 0
    if os.getpid() != parent:
        os._exit(0)
    print("omp")
"""

PEAK = """
    import resource
    import numpy as np
    import fastadagrad as fa

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    hyper = HYPER
    small = np.ones((200_000, 2), np.float32)  # compiles the same kernels
    fa.ADAGRAD(params=small, **hyper).step(small.copy())
    w = np.ones((5_000_000, 4), np.float32)
    g = np.full(w.shape, 0.5, np.float32)
    opt = fa.ADAGRAD(params=w, **hyper)
    opt.reset()  # touches the state's pages
    before = peak()
    opt.step(g)
    grown = peak() - before
    assert grown < w.nbytes / 20, grown
    print("omp")
"""


def run(code, layer="omp"):
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if "No threading layer could be loaded" in done.stderr:
        pytest.skip(f"the threading layer {layer} is not installed")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [layer]
    assert not done.stderr


@pytest.mark.parametrize("layer", LAYERS)
def test_two_threads_step_two_optimizers(layer):
    run(TWO_THREADS, layer)


def test_four_threads_step_one_optimizer():
    run(ONE_OPTIMIZER)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "while another thread steps"])
def test_a_fork_steps_on(layer, busy):
    run(FORK.replace("BUSY", str(busy)), layer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_waits_for_the_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    run(FORK_WHILE_COMPILING)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("code", [FORK_FINDS_WHOLE_STEPS, FORK_FROM_WITHIN], ids=["of another thread", "from within"])
def test_a_forked_process_finds_whole_steps(code):
    run(code)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in kilobytes on Linux only")
@pytest.mark.parametrize(
    "hyper",
    [
        {},
        *(
            pytest.param(hyper, marks=pytest.mark.slow)
            for hyper in (
                {"accumulator": "row"},
                {"accumulator": "tensor", "momentum": 0.9},
                {"max_gradient_norm": 1.0, "l1": 0.1},
            )
        ),
    ],
)
def test_peak_memory_does_not_grow(hyper):
    run(PEAK.replace("HYPER", repr(hyper)))
