"""CUDA code kept on the disk: found again by the next process, and never taken for what it is not."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_kernels import CC

from fastadagrad.kernels import disk_cache
from fastadagrad.kernels.cuda import compiling, disk, finite
from fastadagrad.kernels.cuda.compiling import kernel_name
from fastadagrad.kernels.rules import dog


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Make the kernel that checks many gradients as a new process would; how often something was compiled."""
    make, ptx_of, calls = finite.make_finite_check_of_many.__wrapped__, compiling.ptx_of, []
    expected = {name: make(np.dtype(name), CC).ptx for name in ("float32", "float64")}

    def counted(name, *args):
        calls.append(name)
        return ptx_of(name, *args)

    monkeypatch.setattr(disk, "folders", lambda: (tmp_path / "cache", [tmp_path / "cache"]))
    monkeypatch.setattr(compiling, "ptx_of", counted)

    def times(dtype="float32"):
        calls.clear()
        assert make(np.dtype(dtype), CC).ptx == expected[dtype]
        return len(calls)

    return times


def files(folder):
    return sorted((folder / "cache").iterdir())


def test_found_again(compiled, tmp_path):
    assert [compiled(), compiled(), compiled("float64"), compiled("float64")] == [1, 0, 1, 0]
    assert [path.name.partition("-")[0] for path in files(tmp_path)] == ["finite_many_float32", "finite_many_float64"]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: b"", lambda data: data.replace(b"ld.", b"st.", 1)]
)
def test_damaged(compiled, tmp_path, damage):
    compiled()
    [path] = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert [compiled(), compiled()] == [1, 0]
    assert files(tmp_path) == [path]


def test_bytes_that_are_no_text(compiled, tmp_path):
    compiled()
    files(tmp_path)[0].write_bytes(b"\xff\xfe\x00")
    assert [compiled(), compiled()] == [1, 0]


def test_another_compiler_or_source(compiled, monkeypatch):
    assert compiled() == 1
    monkeypatch.setattr(disk, "COMPILER", "others")
    assert [compiled(), compiled()] == [1, 0]


def test_a_folder_that_cannot_be_made(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(disk_cache, "_warned", False)
    (tmp_path / "cache").write_text("a file")
    with pytest.warns(RuntimeWarning, match="cannot be kept"):
        assert compiled() == 1
    assert compiled() == 1


def test_the_name_of_a_kernel_follows_from_the_formula():
    rule = SimpleNamespace(**vars(dog))
    name = kernel_name(dog)
    assert kernel_name(rule) == name
    rule.measure = lambda p, g, own, H, ahead, s: (s.zero, s.zero)
    assert kernel_name(rule) != name
    rule = SimpleNamespace(**vars(dog))
    rule.Scalars = namedtuple("Scalars", dog.Scalars._fields[::-1])
    assert kernel_name(rule) != name


def test_kernels_of_others_are_not_kept(compiled, tmp_path):
    from fastadagrad.kernels.cuda.compiling import compile_kernel

    def kernel():
        pass

    compile_kernel("theirs", kernel, (), CC)
    assert not (tmp_path / "cache").exists()
