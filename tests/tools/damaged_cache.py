"""Damage to the folder of compiled kernels: every start gives the right bits, and leaves the folder whole again.

``python tests/tools/damaged_cache.py --tries 1000 --seed 1`` damages the files of a folder so often, each time in
another way, and starts twice: the first start finds the damage, the second must find every kernel again. A start is a
process forked from one that has imported the library but has no kernel. Of ten tries, nine are of small kernels, which
are compiled in a moment, and one is of an optimizer's.
"""

import argparse
import collections
import ctypes
import importlib
import math
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numba
import numpy as np
from numba import prange

import fastadagrad as fa
from fastadagrad.kernels.jit import compiled, parallel


def _small_kernels():
    """Kernels of one signature, each of which another's file could be mistaken for."""

    def make(n):
        @compiled
        def scaled(x):
            return n * x + n

        @parallel
        def shared(x):
            y = np.empty_like(x)
            for i in prange(x.size):
                y[i] = n * x[i]
            return y

        return scaled, shared

    return [make(n) for n in (2, 3, 5)]


def use_small_kernels():
    """Whether kernels give what they should, and how many of them had to be compiled."""
    x, right, kernels = np.arange(5.0), True, _small_kernels()
    for n, (scaled, shared) in zip((2, 3, 5), kernels, strict=True):
        right &= scaled(7.0) == 8 * n
        right &= n != 2 or shared(x).tolist() == (n * x).tolist()
    used = [kernel for pair in kernels for kernel in pair if kernel.overloads]
    return right, sum(sum(kernel.stats.cache_misses.values()) for kernel in used)


def use_an_optimizer():
    """The same for an optimizer's kernels, by NumPy's formula; the number is of files that were written."""
    w, expected, G = np.ones(3), np.ones(3), np.zeros(3)
    before = {*_files()}
    opt = fa.ADAGRAD(params=w, learning_rate=0.5)
    opt.step(np.ones(3))
    opt.step(fa.Rows(np.array([1]), np.ones(1)))
    for g in np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]):
        G += g * g
        expected -= 0.5 * g / (np.sqrt(G) + 1e-8)
    return w.tobytes() == expected.tobytes(), len({*_files()} - before)


def _folder():
    return Path(numba.config.CACHE_DIR)


def _files():
    """Kernels by name, time and size: a kernel that is written anew is another one."""
    found = sorted(path for path in _folder().rglob("*.nbc") if path.is_file() and not path.is_symlink())
    return [(path, path.stat().st_mtime_ns, path.stat().st_ino) for path in found]


def started(use):
    """What a new process finds: whether all is right, how many kernels it has compiled, and what it was warned of."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                right, compiled_anew = use()
            text = " ".join(str(warning.message) for warning in told)
            os.write(writing, f"{int(right)} {compiled_anew} {text}".encode()[:4000])
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as file:
        text = file.read().decode()
    status = os.waitpid(child, 0)[1]
    if status:
        return False, -1, f"the process ended with status {status}: {text}"
    right, compiled_anew, told = text.split(" ", 2)
    return right == "1", int(compiled_anew), told


# The ways of damage: each changes the file at `path`; `others` are those of other kernels.


def _truncated(rng, path, others):
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def _emptied(rng, path, others):
    path.write_bytes(b"")


def _bits_flipped(rng, path, others):
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 2, 100])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _overwritten(rng, path, others):
    data = bytearray(path.read_bytes())
    start = rng.randrange(len(data))
    data[start : start + 512] = rng.randbytes(len(data[start : start + 512]))
    path.write_bytes(data)


def _lengthened(rng, path, others):
    with open(path, "ab") as file:
        file.write(rng.randbytes(rng.choice([1, 512, 4096])))


def _grown_without_end(rng, path, others):
    os.truncate(path, 1 << 40)


def _deleted(rng, path, others):
    path.unlink()


def _a_directory(rng, path, others):
    path.unlink()
    path.mkdir()
    if rng.random() < 0.5:
        (path / "file").write_bytes(b"content")


def _swapped(rng, path, others):
    other = rng.choice(others)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def _replaced_by_another(rng, path, others):
    shutil.copyfile(rng.choice(others), path)


def _unreadable(rng, path, others):
    path.chmod(0)


def _a_link_to_nothing(rng, path, others):
    path.unlink()
    path.symlink_to(rng.choice(["nothing", path.name, "/dev/zero", "."]))


def _a_pipe(rng, path, others):
    path.unlink()
    os.mkfifo(path)


def _all_deleted(rng, path, others):
    shutil.rmtree(path.parent)


def _text(rng, path, others):
    path.write_bytes(b"not a kernel")


WAYS = {
    function.__name__.strip("_").replace("_", " "): function
    for function in (
        _truncated, _emptied, _bits_flipped, _overwritten, _lengthened, _grown_without_end, _deleted,
        _a_directory, _swapped, _replaced_by_another, _unreadable, _a_link_to_nothing, _a_pipe, _all_deleted, _text,
    )
}  # fmt: skip


class Folder:
    """A folder with all kernels that one use needs, made once, of which each try gets a copy."""

    def __init__(self, use, place):
        self.use, self.whole, self.place = use, place / "whole", place / "cache"
        place.mkdir()
        numba.config.CACHE_DIR = str(self.place)
        right, self.number, told = started(use)
        if not right or told:
            raise RuntimeError(f"without any damage: {told}")
        assert self.number > 1
        self.place.rename(self.whole)

    def try_once(self, rng, ways):
        """Damage files in some way; the way, and what was wrong (None if nothing was)."""
        numba.config.CACHE_DIR = str(self.place)
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.whole, self.place)
        paths = [path for path, *_ in _files()]
        way = rng.choice(ways)
        for path in rng.sample(paths, 1 if rng.random() < 0.7 else rng.randrange(1, len(paths) + 1)):
            if path.is_file():
                WAYS[way](rng, path, [other for other in paths if other != path and other.is_file()] or [path])
        right, _, told = started(self.use)
        if not right or told:
            return way, f"first start: right {right}, told {told!r}"
        right, compiled_anew, told = started(self.use)
        if not right or told or compiled_anew:
            return way, f"second start: right {right}, {compiled_anew} compiled anew, told {told!r}"
        left = [str(path) for path in self.place.rglob("*") if path.suffix not in ("", ".nbc", ".aside")]
        return way, f"left: {left}" if left else None


def run(tries, seed, share=0.1, deadline=math.inf):
    """Counts of ways, and what was wrong; `share` of the tries are of an optimizer."""
    ways = [*WAYS] if without_privileges() else [way for way in WAYS if way != "unreadable"]
    warm_up()
    rng, counts, wrong = random.Random(seed), collections.Counter(), []
    with tempfile.TemporaryDirectory() as place:
        folders = [Folder(use, Path(place) / name) for name, use in USES.items() if share or name == "small"]
        for number in range(tries):
            folder = folders[-1] if rng.random() < share else folders[0]
            way, fault = folder.try_once(rng, ways)
            counts[way] += 1
            if fault:
                wrong.append(f"try {number}, {way}: {fault}")
            if time.monotonic() > deadline:
                break
    return counts, wrong


USES = {"small": use_small_kernels, "optimizer": use_an_optimizer}


def without_privileges():
    """Give up what lets the superuser read files that nobody may read; True if there are files that cannot be read."""
    if os.getuid():
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    header, kept = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if not hasattr(libc, "capset") or libc.capget(header, kept):
        return False
    for word in (0, 1):  # effective and permitted, of capabilities 1 and 2: to read and search in spite of modes
        kept[word] &= ~0b110
    return libc.capset(header, kept) == 0


def warm_up():
    """Import what compiling needs, so that each forked process need not."""
    compiled(lambda x: x + 1.0)(1.0)
    importlib.import_module("numba.parfors.parfor_lowering")
    importlib.import_module("numba.np.ufunc.parallel")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.1, help="of the tries, those that are of an optimizer")
    parser.add_argument("--seconds", type=float, default=math.inf, help="after which it ends, whatever is left")
    arguments = parser.parse_args()
    begun = time.monotonic()
    counts, wrong = run(arguments.tries, arguments.seed, arguments.share, begun + arguments.seconds)
    for way, number in sorted(counts.items()):
        print(f"{way}: {number}")
    print(*wrong, sep="\n")
    print(f"{sum(counts.values())} tries, {len(wrong)} faults, {time.monotonic() - begun:.0f} s")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
