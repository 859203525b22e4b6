"""Kernels that take NumPy arrays, fused products, and the command."""

import doctest
import runpy
import subprocess
import sys
from fractions import Fraction

import numpy as np
import ptx
import pytest
from places import TOOLS
from ptx import Fault
from ptx.arithmetic import fused
from ptx.command import main
from ptx.subset import KNOWN, expand
from ptx_texts import HEAD, kernel

SCALE = f"""{HEAD}
.visible .entry scale(
    .param .u64 .ptr .global .align 4 x,
    .param .u64 y,
    .param .f32 factor,
    .param .s32 n
)
.maxntid 64, 1, 1
{{
    .reg .pred %p<2>;
    .reg .b32 %r<6>;
    .reg .f32 %f<4>;
    .reg .b64 %rd<6>;
    .loc 1 2 3
    ld.param.b64 %rd1, [x];
    ld.param.b64 %rd2, [y];
    ld.param.f32 %f1, [factor];
    ld.param.b32 %r1, [n];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.s32 %r5, %r2, %r3, %r4;
    setp.ge.s32 %p1, %r5, %r1;
    @%p1 bra $L__END;
    mul.wide.s32 %rd3, %r5, 4;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    ld.global.f32 %f2, [%rd4];
    mul.rn.f32 %f3, %f1, %f2;  // y = factor * x
    st.global.f32 [%rd5],
        %f3;
$L__END:
    ret;
}}
"""
OTHER = SCALE.replace(" scale(", " other(").split(HEAD)[1]


def test_arrays_and_numbers():
    scale = ptx.load(SCALE)
    x, y = np.arange(100, dtype=np.float32), ptx.junk(100, np.float32)
    grid = scale(2, 64, x, y, 2.5, 100)
    np.testing.assert_array_equal(y, 2.5 * x)
    assert grid.n == 128
    assert repr(scale) == "<kernel scale(u64 x, u64 y, f32 factor, s32 n)>"


def test_one_kernel_of_several(tmp_path):
    path = tmp_path / "two.ptx"
    path.write_text(SCALE + OTHER)
    assert ptx.kernels(SCALE + OTHER) == ["scale", "other"]
    assert ptx.load(path, "other").name == "other"
    with pytest.raises(ValueError, match=r"no kernel is named.*it has scale, other; give one"):
        ptx.load(path)
    with pytest.raises(ValueError, match="no 'third': it has scale, other"):
        ptx.load(path, "third")
    with pytest.raises(ValueError, match="it has none"):
        ptx.load(HEAD)


X = np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, X, 1.0), ValueError, r"scale\(.*\)> takes 4, and not 3: give each"),
        ((X, X, X, 4), TypeError, "factor is a number of type f32, and no array: give a number"),
        ((X, X, 1.0, 2**32), TypeError, "n is of type s32, not 4294967296: give an array or a number that fits"),
        ((X, X, 1.0, 2.5), TypeError, "n is of type s32, not 2.5"),
        ((X, X, "1", 4), TypeError, "factor is of type f32, not '1'"),
        ((X[::2], X, 1.0, 2), ValueError, "x is not contiguous: give np.ascontiguousarray of it"),
        ((X.astype(">f4"), X, 1.0, 2), TypeError, "x has elements that no GPU has, .*: give native numbers"),
        ((X, np.array([None]), 1.0, 2), TypeError, "y has elements that no GPU has, .*'O'"),
    ],
    ids=["number of them", "array", "size", "fraction", "text", "strides", "order of bytes", "objects"],
)
def test_arguments_that_are_none(arguments, error, message):
    with pytest.raises(error, match=message):
        ptx.load(SCALE)(1, 4, *arguments)


@pytest.mark.parametrize(
    ("grid", "block", "message"),
    [
        (1, 65, "block: scale takes at most 64 threads a block, not 65"),
        ((1, 1, 1, 1), 4, r"grid is one to three whole numbers, not \(1, 1, 1, 1\): give 4 or"),
        (1, -1, "block is one to three whole numbers, not -1"),
    ],
)
def test_sizes_that_are_none(grid, block, message):
    with pytest.raises(ValueError, match=message):
        ptx.load(SCALE)(grid, block, X, X, 1.0, 4)


def test_threads_that_a_kernel_requires():
    text = SCALE.replace(".maxntid 64, 1, 1", ".reqntid 16, 2")
    ptx.load(text)(1, (16, 2), X, X, 1.0, 0)
    with pytest.raises(ValueError, match="scale takes 32 threads a block, not 16"):
        ptx.load(text)(1, 16, X, X, 1.0, 0)


def test_an_address_too_few_for_a_launch():
    with pytest.raises(ValueError, match="test takes a, and not 0 values"):
        ptx.launch(kernel(""), 1, 1, [], [])


def test_memory_with_gaps():
    with pytest.raises(ValueError, match="memory: an array is not contiguous: give what it is a view of"):
        ptx.launch(kernel(""), 1, 1, [X.ctypes.data], [X[::2]])


def test_a_kernel_without_parameters():
    text = f"{HEAD}.visible .entry nothing {{ ret; }}"
    assert ptx.kernels(text) == ["nothing"]
    assert ptx.load(text)(1, 32).executed >= 1


def test_a_grid_without_threads_does_nothing():
    assert ptx.launch(kernel(""), 0, 64, [0], []).executed == 0


@pytest.mark.parametrize("module", [ptx.kernel, sys.modules["ptx.junk"]], ids=lambda module: module.__name__)
def test_examples_of_docstrings(module):
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried
    assert failed == 0


# Fused products

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0**-149, 2.0**-126, 2.0**127, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_products_round_once(dtype):
    rng = np.random.default_rng(5)
    a, b = ((1 + rng.random(300)).astype(dtype) for _ in range(2))
    c = -(a * b) * (1 + rng.integers(-1, 2, 300)).astype(dtype)
    for x, y, z, found in zip(a, b, c, fused(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        neighbours = [found, np.nextafter(found, dtype(-9)), np.nextafter(found, dtype(9))]
        distances = [abs(Fraction(float(n)) - exact) for n in neighbours]
        assert distances[0] == min(distances)
    assert (fused(a, b, c) != a * b + c).any()


def test_fused_products_of_single_numbers_do_not_round_twice():
    """Half a unit and a little more: to double precision first, it would be half a unit, and round to even."""
    a, b, c = np.float32([1774001]), np.float32([38737 * 2.0**-60]), np.float32([1])
    assert Fraction(float(a[0])) * Fraction(float(b[0])) == Fraction(1, 2**24) + Fraction(1, 2**60)
    assert (a.astype(float) * b + c).astype(np.float32)[0] == 1
    assert fused(a, b, c)[0] == 1 + 2**-23
    assert fused(a, -b, -c)[0] == -1 - 2**-23


def test_fused_products_of_special_numbers():
    a, b, c = (each.ravel() for each in np.meshgrid(SPECIAL, SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        plain = a * b + c  # exact in double precision, or infinite or NaN, for these
        found = fused(a.astype(np.float32), b.astype(np.float32), c.astype(np.float32))
        simple = (np.abs(a * b) < 2.0**-300) | (np.abs(a * b) > 2.0**200) | (c == 0) | ~np.isfinite(plain)
        expected = plain.astype(np.float32)
    np.testing.assert_array_equal(found[simple], expected[simple])
    np.testing.assert_array_equal(np.signbit(found[simple & (found == 0)]), np.signbit(expected[simple & (found == 0)]))


def test_contraction_is_asked_for():
    text = kernel("ld.global.f32 %f1, [%rd3];\nfma.rn.f32 %f2, %f1, %f1, %f1;\nst.global.f32 [%rd3], %f2;")
    x = np.arange(4, dtype=np.float32)
    ptx.load(text, contraction=True)(1, 4, x)
    assert x.tolist() == [0, 2, 6, 12]
    with pytest.raises(Fault, match="contracted"):
        ptx.load(text)


# The table


def test_names_of_forms():
    assert sorted(expand("a[.{b,c}].{FLOAT,x.y}")) == sorted(
        f"a{middle}.{last}" for middle in (".b", ".c", "") for last in ("f32", "f64", "x.y")
    )
    assert len(KNOWN) == sum(len(expand(form.name)) for form in ptx.FORMS), "two forms have a name in common"


# The command


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scale.ptx").write_text(SCALE)
    np.save("x.npy", np.arange(100, dtype=np.float32))
    return tmp_path


COMMAND = ["scale.ptx", "--grid", "2", "--block", "64", "--arg", "x.npy", "--arg", "float32:100"]


def test_a_kernel_of_a_file(files, capsys):
    assert main([*COMMAND, "--arg", "0.5", "--arg", "0x64", "--save", "1=y.npy", "--seed", "3"]) == 0
    np.testing.assert_array_equal(np.load("y.npy"), np.arange(100, dtype=np.float32) / 2)
    assert capsys.readouterr().out.startswith("scale: 128 threads, ")


def test_what_depends_on_junk_is_named(files, capsys):
    """With 99 numbers the last one is not written."""
    assert main([*COMMAND, "--arg", "0.5", "--arg", "99", "--seeds", "2"]) == 1
    assert "argument 1, y, has other bits with another seed" in capsys.readouterr().err
    assert main([*COMMAND, "--arg", "0.5", "--arg", "100", "--seeds", "2"]) == 0
    assert capsys.readouterr().out.endswith("seeds 0 to 1\n")


def test_faults_and_errors(files, capsys):
    assert main([*COMMAND, "--arg", "0.5", "--arg", "101"]) == 1
    assert "fault: access outside of the arrays" in capsys.readouterr().err
    for words, message in [
        ([*COMMAND], "takes 4 arguments, and not 2"),
        ([*COMMAND, "--arg", "0.5", "--arg", "half"], "--arg half is no s32, no .npy file and no DTYPE:N"),
        ([*COMMAND, "--arg", "0.5", "--arg", "9", "--save", "2=y.npy"], "--save 2=y.npy is not I=FILE.npy"),
        ([*COMMAND, "--arg", "0.5", "--arg", "9", "--kernel", "no"], "no 'no': it has scale"),
        (["no.ptx", "--grid", "1", "--block", "1"], "No such file"),
    ]:
        assert main(words) == 2
        assert message in capsys.readouterr().err


def test_kernels_are_listed(files, capsys):
    assert main(["scale.ptx"]) == 0
    assert capsys.readouterr().out == "<kernel scale(u64 x, u64 y, f32 factor, s32 n)>\n"
    with pytest.raises(SystemExit):
        main(["scale.ptx", "--grid", "1"])
    assert "--grid and --block go together" in capsys.readouterr().err


def test_the_folder_is_a_program(files):
    words = [sys.executable, "-I", str(TOOLS / "ptx"), "scale.ptx"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("<kernel scale(")


def test_the_package_is_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ptx"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("ptx", run_name="__main__")
    assert ended.value.code == 0
    assert "| `sqrt.rn.FLOAT` | `d, a` |" in capsys.readouterr().out
