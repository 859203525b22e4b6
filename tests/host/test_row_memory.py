"""What steps of rows cost beside time: memory, and compilation."""

import os
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
from sparse import F4

import fastadagrad as fa


def peak_of(step):
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "hyper", [{}, {"max_gradient_norm": 1.0}, {"accumulator": "tensor"}, {"momentum": 0.9}], ids=str
)
@pytest.mark.parametrize("unique", [False, True])
def test_memory_follows_the_rows(hyper, unique):
    rng = np.random.default_rng(13)
    peaks = {}
    for size in (10_000, 1_000_000):
        opt = fa.ADAGRAD(params=np.ones((size, 16), F4), threads=1, **hyper)
        for n in (1, 2000):
            indices = rng.choice(size, n, replace=False)
            if not unique:
                indices[n // 2 :] = indices[: n - n // 2]
            rows = fa.Rows(indices, np.ones((n, 16), F4), assume_unique=unique)
            opt.step(rows)
            peaks[size, n] = peak_of(lambda opt=opt, rows=rows: opt.step(rows))
        del opt
    assert peaks[1_000_000, 1] < 20_000
    assert peaks[1_000_000, 2000] < 4 * 2000 * (16 * 4 + 4 * 8)
    assert peaks[1_000_000, 2000] < 1.2 * peaks[10_000, 2000] + 10_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of resident memory from /proc")
@pytest.mark.parametrize("hyper", [{}, {"max_global_norm": 1.0}, {"accumulator": "tensor"}, {"momentum": 0.9}], ids=str)
def test_a_table_larger_than_what_is_read_of_it(hyper, tmp_path):
    """Also of what compiled code allocates: the pages that a step touches are those of its rows."""
    code = f"""
        import numpy as np, fastadagrad as fa

        def peak():
            return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

        rng = np.random.default_rng(0)
        for shape in ((1000, 64), (4_000_000, 64)):  # a file of 1 GB, all holes
            w = np.memmap({str(tmp_path / "w")!r}, np.float32, "w+", shape=shape)
            opt = fa.ADAGRAD(params=w, learning_rate=1.0, threads=1, **{hyper!r})
            before = peak()
            for _ in range(3):
                rows = fa.Rows(rng.integers(shape[0], size=1000), np.ones((1000, 64), np.float32))
                opt.step(rows)
                got = opt.read_rows("param0", rows.indices)
        assert got.min() < 0
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 300_000  # kB: of a file, the system maps 64 kB around each of the 3,000 rows


PROBE = """
import numpy as np, fastadagrad as fa
from fastadagrad.kernels.cpu import coalesce, gradient_checks
from fastadagrad.kernels.memory import storage
table = np.ones((40, 4), np.float32)
opt = fa.ADAGRAD(params=table, momentum=0.9)
opt.step(fa.Rows(np.arange(40)[::-1] // 2, table.copy()))
opt.flush()
[unit] = opt._session.engine.stepping.units
single = storage.precision_of(np.dtype(np.float32))
checks, sums = gradient_checks.make_checks(single), coalesce.make_sum_groups(single)
pairs = [coalesce.inspect, coalesce.sort_rows, sums, checks.holds_non_finite]
stats = [pair.serial.stats for pair in (*pairs, unit._driver, unit.lagging._catch_up)]
print(*(sum(sum(each.values()) for each in kind) for kind in zip(*((s.cache_hits, s.cache_misses) for s in stats))))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROBE]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["0", "6"], ["6", "0"]]
