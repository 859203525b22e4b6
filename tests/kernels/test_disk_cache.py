"""Compiled kernels on the disk: whoever has written them, a later process computes with the right ones."""

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastadagrad
from fastadagrad.kernels import disk_cache, jit

# Kernels of one name, put together from pieces of one name, of which none is inlined; one shared among threads.
KERNELS = """
import sys
import numpy as np
from numba import prange
from fastadagrad.kernels.jit import compiled, jitable, parallel

def make(n):
    @jitable
    def add(x):
        LINES
        return x + n

    @compiled
    def add_thrice(x):
        return add(x) + add(x + 1) + add(x + 2)

    @parallel
    def add_to_all(x):
        y = np.empty_like(x)
        for i in prange(x.size):
            y[i] = add(x[i])
        return y

    return add_thrice, add_to_all

def value(n):
    return make(n)[0](100)

def both(n):
    assert make(n)[1](np.arange(9)).tolist() == [i + n for i in range(9)]
    return value(n)
""".replace("LINES", "\n        ".join(["x = (x ^ (x << 1)) // 3 - x % 7 if x > 1000 else x"] * 40))
VALUES = "print(*(value(int(n)) for n in sys.argv[1:]))"
BOTH = VALUES.replace("value", "both")
COUNTS = "kernel = make(1)[0]; kernel(100); print(kernel.stats.cache_hits)"
POOL = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(*pool.map(both, range(1, 4), 1))
"""
TURNS = """
import multiprocessing
for n in range(1, 4):
    child = multiprocessing.get_context("fork").Process(target=lambda: print(both(n), end=" ", flush=True))
    child.start()
    child.join()
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as pool:
    print(*pool.map(value, range(1, 4)))
"""
NUMBERS, RIGHT = ["1", "2", "3"], ["306", "309", "312"]


class Sandbox:
    """A script beside an empty cache."""

    def __init__(self, folder):
        self.folder, self.cache = folder, folder / "cache"
        self.environment = {**os.environ, "NUMBA_CACHE_DIR": str(self.cache), "NUMBA_NUM_THREADS": "2"}

    def start(self, code, *arguments, **environment):
        script = self.folder / "kernels.py"
        script.write_text(KERNELS + code)
        # In one thread of the pool that the layer makes: of OpenMP's none may be left when a process forks.
        environment = {**self.environment, "NUMBA_THREADING_LAYER": "workqueue", **environment}
        return subprocess.Popen(
            [sys.executable, script, *arguments], env=environment, stdout=subprocess.PIPE, text=True
        )

    def run(self, code, *arguments, **environment):
        with self.start(code, *arguments, **environment) as process:
            output = process.communicate(timeout=300)[0]
        assert process.returncode == 0
        return output.split()

    def files(self):
        return sorted(path for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture
def sandbox(tmp_path):
    return Sandbox(tmp_path)


@pytest.mark.slow
def test_processes_one_after_the_other(sandbox):
    assert [sandbox.run(VALUES, n) for n in NUMBERS] == [[value] for value in RIGHT]
    assert sandbox.run(VALUES, *NUMBERS) == RIGHT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
@pytest.mark.parametrize("how", [POOL, pytest.param(TURNS, marks=pytest.mark.slow)], ids=["pool", "turns"])
def test_forked_processes(sandbox, how):
    """They share what their parent had counted."""
    assert sandbox.run(how) == RIGHT
    written = sandbox.files()
    assert sandbox.run(BOTH, *NUMBERS) == RIGHT
    assert sandbox.files() == written


@pytest.mark.slow
def test_threads(sandbox):
    assert sandbox.run(THREADS, NUMBA_THREADING_LAYER="default") == RIGHT
    assert sandbox.run(VALUES, *NUMBERS[::-1]) == RIGHT[::-1]


@pytest.mark.slow
def test_processes_at_once(sandbox):
    """They write the same files, and others beside them."""
    processes = [sandbox.start(VALUES, *NUMBERS[k:], *NUMBERS[:k]) for k in range(3)]
    for k, process in enumerate(processes):
        with process:
            assert process.communicate(timeout=300)[0].split() == RIGHT[k:] + RIGHT[:k]
    assert sandbox.run(VALUES, *NUMBERS) == RIGHT
    assert not [path for path in sandbox.files() if path.suffix != ".nbc"]


SYMBOLS = """
for n in sys.argv[1:]:
    value(int(n))
print(*[kernel.py_func.__qualname__ for kernel in make(1)])
kernel = make(1)[0]
kernel(100)
print(*[result.fndesc.mangled_name for result in kernel.overloads.values()])
"""


@pytest.mark.slow
def test_symbols_follow_from_the_kernel_alone(sandbox):
    found = {tuple(sandbox.run(SYMBOLS, *numbers, NUMBA_CACHE_DIR=str(sandbox.folder / str(k)))) for k, numbers in
             enumerate([(), NUMBERS, NUMBERS[::-1]])}  # fmt: skip
    assert len(found) == 1


DAMAGE = {
    "emptied": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "a byte too short": lambda data: data[:-1],
    "a byte too long": lambda data: data + b"\0",
    "a bit flipped at the front": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "a bit flipped at the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "text": lambda data: b"not a kernel",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_seen(tmp_path, damage):
    path = tmp_path / "file"
    disk_cache.write(path, b"content")
    assert disk_cache.read(path) == b"content"
    path.write_bytes(damage(path.read_bytes()))
    assert disk_cache.read(path) is None


def test_a_damaged_file_is_written_anew(sandbox):
    assert sandbox.run(VALUES, "1") == ["306"]
    [path] = sandbox.files()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert sandbox.run(COUNTS) == ["Counter()"]
    assert sandbox.run(COUNTS)[-1] == "1})"


@pytest.mark.slow
def test_a_file_that_cannot_be_read(sandbox):
    assert sandbox.run(VALUES, "1") == ["306"]
    for path in sandbox.files():
        path.unlink()
        path.mkdir()
    assert sandbox.run(VALUES, "1", PYTHONWARNINGS="ignore") == ["306"]


OF_NUMBA = """
from numba import njit
compiled = njit(cache=True, nogil=True, error_model="numpy")
print(*(value(int(n)) + 1000 for n in sys.argv[1:]))
"""


@pytest.mark.slow
def test_what_numba_itself_has_written_is_not_read(sandbox):
    """The library once kept kernels in Numba's own way, and some of those were mixed up."""
    assert sandbox.run(OF_NUMBA, "1") == ["1306"]
    before = sandbox.files()
    assert {path.suffix for path in before} == {".nbi", ".nbc"}
    for path in before:
        path.touch()
    assert sandbox.run(COUNTS) == ["Counter()"]
    assert sandbox.run(VALUES, "1") == ["306"]
    assert {*before} < {*sandbox.files()}


@pytest.mark.slow
def test_what_other_sources_have_left(sandbox):
    """Of those that were used last it stays: they may be another environment's."""
    assert sandbox.run(VALUES, "1") == ["306"]
    folder = sandbox.files()[0].parent
    others = [folder / f"kernels.add_thrice-{str(age) * 8}-{'0' * 32}.nbc" for age in range(1, 6)]
    foreign = folder / "theirs-12.py311.1.nbc"
    young, abandoned = (folder / f"{others[0].name}.{digit * 12}.tmp" for digit in "ab")
    now = time.time()
    for path, age in zip([*others, foreign, young, abandoned], [1, 2, 3, 4, 5, 9, 0, 9], strict=True):
        path.write_bytes(b"")
        os.utime(path, (now - age * 86400,) * 2)
    assert sandbox.run(VALUES, "2") == ["309"]
    assert [path.exists() for path in others] == [True, True, True, False, False]
    assert [path.exists() for path in (foreign, young, abandoned)] == [True, True, False]


def test_a_kernel_in_use_counts_as_young(tmp_path):
    path = tmp_path / "file"
    disk_cache.write(path, b"content")
    os.utime(path, (0, 0))
    assert disk_cache.read(path) == b"content"
    assert path.stat().st_mtime > time.time() - 60


HELPED = """
import numba

def helped(k):
    @numba.njit(["int64(int64)"])
    def helper(x):
        LINES
        return x * k

    @compiled
    def kernel(x):
        return helper(x)

    return kernel

print(*(helped(int(n))(7) for n in sys.argv[1:]))
""".replace("LINES", "\n        ".join(["x = (x ^ (x << 1)) // 3 - x % 7 if x > 1000 else x"] * 40))


@pytest.mark.slow
def test_helpers_that_somebody_else_has_compiled(sandbox):
    """Their symbols end in the number that they have in their process."""
    assert [sandbox.run(HELPED, n) for n in NUMBERS] == [["7"], ["14"], ["21"]]
    assert sandbox.run(HELPED, *NUMBERS) == ["7", "14", "21"]
    assert sandbox.run(HELPED, *NUMBERS[::-1]) == ["21", "14", "7"]


CHANGED = """
SCALE = 2

@compiled
def scaled(x):
    return SCALE * x

if len(sys.argv) > 1:
    SCALE = 3
print(scaled(7))
"""


def test_globals_that_change_before_a_kernel_is_compiled(sandbox):
    """A kernel is what it was when it was made."""
    assert sandbox.run(CHANGED, "changed") == ["14"]
    assert sandbox.run(CHANGED) == ["14"]


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"


def warnings_of(sandbox, code, *arguments, **environment):
    script = sandbox.folder / "kernels.py"
    script.write_text(KERNELS + code)
    command = [sys.executable, script, *arguments]
    process = subprocess.run(
        command, env={**sandbox.environment, **environment}, capture_output=True, text=True, check=True
    )
    return process.stdout.split(), process.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="files cannot be limited here")
def test_a_full_disk_is_told_once(sandbox):
    values, told = warnings_of(sandbox, LIMITED + VALUES, *NUMBERS)
    assert values == RIGHT
    assert told.count("cannot be kept") == 1
    assert str(sandbox.cache) in told
    assert sandbox.files() == []


@pytest.mark.slow
def test_a_folder_that_is_lost_while_compiling(sandbox):
    code = "import shutil, pathlib\nvalue(1)\n"
    code += f"shutil.rmtree({str(sandbox.cache)!r}); pathlib.Path({str(sandbox.cache)!r}).write_text('')\n" + VALUES
    values, told = warnings_of(sandbox, code, *NUMBERS)
    assert values == RIGHT
    assert told.count("cannot be kept") == 1


def test_errors_made_of_warnings_do_not_stop_a_step(sandbox):
    log = "import logging; logging.basicConfig()\n"
    sandbox.cache.write_text("a file")
    values, told = warnings_of(sandbox, log + LIMITED + VALUES, "1", PYTHONWARNINGS="error", HOME="/dev/null/home")
    assert values == ["306"]
    assert told.startswith("WARNING:fastadagrad:compiled kernels cannot be kept")


STEP = """
import numpy as np, fastadagrad as fa
w, expected, G = np.ones(3), np.ones(3), np.zeros(3)
opt = fa.ADAGRAD(params=w, learning_rate=0.5)
opt.step(np.ones(3))
opt.step(fa.Rows(np.array([1]), np.ones(1)))
for g in np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]):
    G += g * g
    expected -= 0.5 * g / (np.sqrt(G) + 1e-8)
print("right" if w.tobytes() == expected.tobytes() else w)
"""


def copy_of_the_package(folder):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(fastadagrad.__file__).parent, folder / "fastadagrad", ignore=ignore)
    kernels = folder / "fastadagrad" / "kernels"
    if not kernels.is_dir():
        shutil.copytree(Path(jit.__file__).parent, kernels, ignore=ignore)
    return kernels


def step(folder, *options, code=STEP, **environment):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_without_a_folder_to_write_to(tmp_path):
    """As a user without a home, of a package that somebody else has installed."""
    kernels = copy_of_the_package(tmp_path)
    (kernels / "__pycache__").write_text("a file")
    process = step(tmp_path, HOME="/dev/null/home", XDG_CACHE_HOME="/dev/null/cache", NUMBA_CACHE_DIR="")
    assert process.stdout.strip() == "right"
    assert process.stderr.count("cannot be kept") == 1


NOWHERE = """
from fastadagrad.kernels import disk_cache
def refused(function):
    raise RuntimeError("no locator available")
disk_cache.CompileResultCacheImpl = refused
"""


@pytest.mark.slow
def test_what_an_administrator_has_compiled_is_read(tmp_path):
    """Beside the source, where others may not write."""
    kernels = copy_of_the_package(tmp_path)
    process = step(tmp_path, NUMBA_CACHE_DIR="")
    assert process.stdout.strip() == "right"
    assert [*(kernels / "__pycache__").glob("*.nbc")]
    process = step(tmp_path, code=NOWHERE + STEP, NUMBA_CACHE_DIR="")
    assert (process.stdout.strip(), process.stderr) == ("right", "")


@pytest.mark.slow
def test_two_versions_in_one_folder(tmp_path):
    """The sources of one folder change to and fro, as when a developer goes from branch to branch."""
    motion = copy_of_the_package(tmp_path) / "motion.py"
    ours, theirs = motion.read_text(), motion.read_text().replace("return p - d, rest", "return p - d - d, rest")
    for text in (ours, theirs, ours, theirs):
        motion.write_text(text)
        process = step(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        assert process.returncode == 0, process.stderr
        assert (process.stdout.strip() == "right") == (text == ours)
    kept = {path.name.split("-")[-2] for path in (tmp_path / "cache").rglob("*.nbc")}
    assert len(kept) == 2


HIDDEN = """
import builtins
found = builtins.__import__
PRIVATE = ("numba.core", "numba.np", "numba.cpython", "numba.misc")
def without_private_names(name, globals=None, *rest):
    if name.startswith(PRIVATE) and globals and str(globals.get("__name__")).startswith("fastadagrad"):
        raise ImportError(name)
    return found(name, globals, *rest)
builtins.__import__ = without_private_names
"""


@pytest.mark.slow
def test_names_that_numba_keeps_to_itself_may_be_missing(tmp_path):
    process = step(tmp_path, code=HIDDEN + STEP)
    assert process.stdout.strip() == "right", process.stderr
    assert process.stderr.count("cannot be kept") == 1


def test_without_the_compiler(tmp_path):
    process = step(tmp_path, NUMBA_DISABLE_JIT="1")
    assert process.stderr.strip().endswith("NUMBA_DISABLE_JIT is set: unset it")


@pytest.mark.slow
def test_without_docstrings_and_assertions(tmp_path):
    process = step(tmp_path, "-OO")
    assert (process.stdout.strip(), process.stderr) == ("right", "")


def test_a_kernel_of_what_nobody_can_describe_is_not_kept():
    codegen, held = jit.compiled(lambda: 0).targetctx.codegen(), object()
    assert disk_cache.KernelCache(lambda: math.pi, {})._name((), codegen) is not None
    assert disk_cache.KernelCache(lambda: held, {})._name((), codegen) is None
