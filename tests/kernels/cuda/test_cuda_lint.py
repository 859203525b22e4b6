"""What the compiler and the assembler made of the CUDA kernels: memory accesses, rounding, registers."""

import re
import shutil
import subprocess
import sysconfig
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import CC, adagrad, lanes_of

from fastadagrad.kernels.cuda import coalesce, dense, finite, missed, reduce, rows, shared
from fastadagrad.kernels.cuda.row_norms import make_order, make_row_squares
from fastadagrad.kernels.cuda.statistics import make_measure
from fastadagrad.kernels.rules import dadapt_adagrad

CAPABILITIES = [(7, 5), (8, 0), (9, 0), (10, 0), (12, 0)]
MOSTLY_SLOW = [cc if cc == CC else pytest.param(cc, marks=pytest.mark.slow) for cc in CAPABILITIES]
SLOTS = {"plain": 0, "momentum": 1, "nesterov": 1}
F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
MOST_REGISTERS = 40


def accesses(ptx, what, kind):
    """How many values of this kind the vector accesses of a kernel move, and how many such accesses there are."""
    found = re.findall(rf"{what}\.global\.v(\d)\.{kind}", ptx)
    return sum(map(int, found)), len(found)


@pytest.mark.parametrize("cc", MOSTLY_SLOW, ids=str)
@pytest.mark.parametrize("motion", ["plain", "momentum"])
def test_memory_accesses_an_element(motion, cc):
    """Three loads and two stores of 16 bytes for 4 elements, one more of each with momentum."""
    ptx = dense.make_dense(adagrad, dense.Variant(motion, True, False, F4, cc)).vectors.ptx
    more = SLOTS[motion]
    assert accesses(ptx, "ld", "[bf]32") == (4 * (3 + more), 3 + more)
    assert accesses(ptx, "st", "[bf]32") == (4 * (2 + more), 2 + more)
    # and one of each for the elements that are left over
    assert len(re.findall(r"ld\.global\.[bf]32", ptx)) == 3 + more
    assert len(re.findall(r"st\.global\.[bf]32", ptx)) == 2 + more


@pytest.mark.parametrize("cc", MOSTLY_SLOW, ids=str)
def test_a_check_reads_four_bytes_an_element(cc):
    """A load of 16 bytes for 4 elements of float32, and one of 4 bytes for each that is left over."""
    ptx = finite.make_finite_check(F4, cc).vectors.ptx
    assert accesses(ptx, "ld", "[bsu]32") == (4, 1)
    assert len(re.findall(r"ld\.global\.[bsu]32", ptx)) == 1


def test_rows_are_reached_in_vectors():
    """The parameter, the accumulator and each gradient of the row, of which several may be loaded; two stores."""
    kernel = rows.make_row_update(adagrad, "plain", "element", True, F4, CC, vectors=True)
    values, loads = accesses(kernel.ptx, "ld", "[bf]32")
    assert values == 4 * loads >= 12
    assert accesses(kernel.ptx, "st", "[bf]32") == (8, 2)
    assert not re.search(r"ld\.global\.[bf]32", kernel.ptx)


@pytest.mark.parametrize("cc", MOSTLY_SLOW, ids=str)
def test_what_a_sweep_tells_other_threads(cc):
    """Shared counts have 32 bits, to which GPUs add by one instruction; a warp meets before it counts on."""
    sort = coalesce.make_sort(cc)
    for kernel in (sort.sweep, *sort.pack_keys.values()):
        assert {*re.findall(r"atom\.shared\S*\.(\w+)", kernel.ptx)} == {"u32"}
    assert "bar.warp.sync" in sort.sweep.ptx
    how = "relaxed.sys" if cc >= (7, 0) else "volatile"
    assert re.search(rf"ld\.{how}\.global\.b64", sort.sweep.ptx), "what tiles say is read where others write it"


VARIANTS = [*product(SLOTS, [True, False], [True], [F4, F8]), *product(SLOTS, [True], [False], [F4])]


@pytest.mark.parametrize(("motion", "lean", "watchful", "dtype"), VARIANTS, ids=str)
def test_arithmetic(motion, lean, watchful, dtype):
    kernels = dense.make_dense(adagrad, dense.Variant(motion, lean, watchful, dtype, CC))
    for ptx in (kernels.vectors.ptx, kernels.elements.ptx):
        kind = f"f{8 * dtype.itemsize}"
        other = {"f32": "f64", "f64": "f32"}[kind]
        assert f".{other}" not in ptx
        assert f"sqrt.rn.{kind}" in ptx
        assert f"div.rn.{kind}" in ptx
        assert "fma" not in ptx
        assert ".local" not in ptx
    kind = f"[bf]{8 * dtype.itemsize}"
    lanes, more = lanes_of(dtype), SLOTS[motion]
    assert accesses(kernels.vectors.ptx, "ld", kind) == (lanes * (3 + more), 3 + more)
    assert accesses(kernels.vectors.ptx, "st", kind) == (lanes * (2 + more), 2 + more)
    assert accesses(kernels.elements.ptx, "ld", kind) == (0, 0)


def find_ptxas():
    packages = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    return next(map(str, packages.glob("**/bin/ptxas")), shutil.which("ptxas"))


@pytest.fixture(scope="module")
def ptxas():
    found = find_ptxas()
    if not found:
        pytest.skip("there is no ptxas: pip install 'fastadagrad[test-cuda]'")
    return found


def assembled(ptxas, kernel, cc, directory):
    """Registers a thread, and bytes of spilled ones."""
    source = directory / "kernel.ptx"
    source.write_text(kernel.ptx)
    command = [ptxas, "-v", f"-arch=sm_{cc[0]}{cc[1]}", str(source), "-o", str(directory / "kernel.cubin")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    registers = int(re.search(r"Used (\d+) registers", result.stderr)[1])
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", result.stderr)))
    return registers, spilled


@pytest.mark.parametrize("cc", MOSTLY_SLOW, ids=str)
@pytest.mark.parametrize("motion", SLOTS)
@pytest.mark.parametrize("lean", [True, False], ids=["lean", "full"])
@pytest.mark.parametrize("decides", [False, True], ids=["told", "deciding"])
def test_registers(ptxas, motion, lean, decides, cc, tmp_path):
    kernels = dense.make_dense(adagrad, dense.Variant(motion, lean, False, F4, cc, decides))
    for kernel in (kernels.vectors, kernels.elements):
        registers, spilled = assembled(ptxas, kernel, cc, tmp_path)
        assert spilled == 0
        assert registers <= MOST_REGISTERS


def other_kernels(dtype, cc):
    """Those beside the dense updates of one array."""
    for motion in SLOTS:
        for decides in (False, True):
            yield dense.make_many(adagrad, dense.Variant(motion, True, True, dtype, cc, decides))
        yield shared.make_rows(adagrad, motion, dtype, cc)
        yield from shared.make_tensor(adagrad, motion, dtype, cc)
        for kind in ("element", "row", "tensor"):
            yield rows.make_row_update(adagrad, motion, kind, True, dtype, cc)
        yield rows.make_row_update(adagrad, motion, "element", True, dtype, cc, vectors=True)
    for choice in (False, True):
        yield rows.make_rows_check(choice, dtype, cc)
        yield make_row_squares(adagrad, choice, dtype, cc)
    yield from make_order(cc)
    yield rows.make_dense_form(dtype, cc)
    yield rows.make_gather(dtype, cc)
    for motion, kind, how in (
        ("plain", "element", "steps"),
        ("momentum", "row", "sums"),
        ("plain", "tensor", "history"),
    ):
        yield missed.make_row_catch_up(adagrad, motion, kind, how, dtype, cc)
    yield from reduce.make_sums(adagrad, False, dtype, cc)
    yield from reduce.make_sums(adagrad, True, dtype, cc)
    yield from reduce.make_sums_of_many(dtype, cc)
    yield make_measure(dadapt_adagrad, dtype, cc)
    for decides in (False, True):
        yield from finite.make_finite_check(dtype, cc, decides)
        yield finite.make_finite_check_of_many(dtype, cc, decides)
    by_dtype, others = coalesce.make_sort(cc)[:2], coalesce.make_sort(cc)[2:]
    yield from (*(kernel for each in by_dtype for kernel in each.values()), *others)


@pytest.mark.parametrize("cc", MOSTLY_SLOW, ids=str)
@pytest.mark.parametrize("dtype", [F4, pytest.param(F8, marks=pytest.mark.slow)], ids=str)
def test_nothing_spills(ptxas, dtype, cc, tmp_path):
    for kernel in other_kernels(dtype, cc):
        _, spilled = assembled(ptxas, kernel, cc, tmp_path)
        assert spilled == 0, kernel.name
