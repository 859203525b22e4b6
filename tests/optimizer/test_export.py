"""Parameters in the format of safetensors, as other libraries read them."""

import errno
import json
import os

import numpy as np
import pytest

import fastadagrad as fa

PARAMS = {
    "layer1": {"W": np.ones((2, 3), np.float32), "b": np.zeros(3)},
    "rest": [np.array(1.5), np.full(2, 0.5, "f2")],
}


@pytest.fixture
def read():
    """The function of safetensors that reads a file."""
    return pytest.importorskip("safetensors.numpy").load_file


def test_names_shapes_dtypes_and_values(read, tmp_path):
    opt = fa.ADAGRAD(params=PARAMS, learning_rate=0.1)
    opt.export(tmp_path / "file")
    found = read(tmp_path / "file")
    assert found.keys() == {"layer1/W", "layer1/b", "rest/0", "rest/1"}
    for name, array in opt.params.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_bfloat16(read, tmp_path):
    """Which `safetensors.numpy` writes and does not read, as other readers of the format do."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    fa.SGD(params={"w": np.array([1.0, -2.0], ml_dtypes.bfloat16)}).export(tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + length])["w"] == {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
    np.testing.assert_array_equal(np.frombuffer(content[8 + length :], ml_dtypes.bfloat16), [1, -2])


def test_rows_that_lag_are_caught_up(read, tmp_path):
    w = np.ones((4, 2))
    opt = fa.SGD(params=w, learning_rate=0.5, momentum=0.5)
    opt.step(fa.Rows(np.array([0, 1]), np.ones((2, 2))))
    opt.step(fa.Rows(np.array([2]), np.ones((1, 2))))
    opt.export(tmp_path / "file")
    found = read(tmp_path / "file")["param0"]
    opt.flush()
    np.testing.assert_array_equal(found, w)
    assert found[0, 0] == 1 - 0.5 - 0.25


def test_a_file_that_cannot_be_written_leaves_the_old_one(read, tmp_path, monkeypatch):
    opt = fa.SGD(params=np.ones(2), learning_rate=0.5)
    opt.export(tmp_path / "file")

    def failing(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opt.step(np.ones(2))
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left") as caught:
        opt.export(tmp_path / "file")
    assert caught.value.filename == str(tmp_path / "file")
    assert os.listdir(tmp_path) == ["file"]
    np.testing.assert_array_equal(read(tmp_path / "file")["param0"], np.ones(2))


def test_refusals(read, tmp_path):
    with pytest.raises(TypeError, match="path must be a path, not 3"):
        fa.SGD(params=np.ones(2)).export(3)
    with pytest.raises(ValueError, match="a parameter is called __metadata__"):
        fa.SGD(params={"__metadata__": np.ones(2)}).export(tmp_path / "file")


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    monkeypatch.setitem(__import__("sys").modules, "safetensors.numpy", None)
    with pytest.raises(RuntimeError, match=r'export needs safetensors: pip install "fastadagrad\[safetensors\]"'):
        fa.SGD(params=np.ones(2)).export(tmp_path / "file")
