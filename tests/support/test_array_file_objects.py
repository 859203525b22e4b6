"""Arrays in file objects: in memory, behind something else, compressed, in pipes, and in a place that does not suit."""

import gzip
import io
import os
import tempfile
import zipfile
from functools import partial

import numpy as np
import pytest
from kept_arrays import ARRAYS

from fastadagrad.support import array_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.npz"


class Pipe(io.RawIOBase):
    """Neither seeks nor tells, and takes or gives at most seven bytes at a time."""

    def __init__(self, content=b""):
        self.content = bytearray(content)

    def readable(self):
        return True

    def writable(self):
        return True

    def write(self, content):
        self.content += bytes(content[:7])
        return min(7, len(content))

    def readinto(self, buffer):
        part = self.content[: min(7, len(buffer))]
        del self.content[: len(part)]
        buffer[: len(part)] = part
        return len(part)


def in_memory(path):
    file = io.BytesIO()
    yield file
    file.seek(0)
    yield file


def opened(path):
    with open(path, "wb") as file:
        yield file
    with open(path, "rb") as file:
        yield file


def compressed(path):
    with gzip.open(path, "wb") as file:
        yield file
    with gzip.open(path, "rb") as file:
        yield file


def temporary(path):
    with tempfile.NamedTemporaryFile() as file:
        yield file
        file.seek(0)
        yield file


def behind_something(path):
    file = io.BytesIO()
    file.write(b"a heading")
    yield file
    file.seek(9)
    yield file


def pipe(path):
    file = Pipe()
    yield file
    yield file


def pipe_of_the_system(path):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as file:
        yield file
    with os.fdopen(reading, "rb") as file:
        yield file


@pytest.mark.parametrize("kind", [in_memory, opened, compressed, temporary, behind_something, pipe, pipe_of_the_system])
def test_file_objects(kind, path):
    ends = kind(path)
    array_file.write(next(ends), "model", {"n": 1}, ARRAYS)
    header, arrays = array_file.read(next(ends), "model")
    assert header == {"n": 1}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)
    ends.close()


@pytest.mark.parametrize("kind", ["memory", "file", "temporary"])
def test_text_mode_is_refused_before_anything_is_written(kind, path):
    made = {
        "memory": io.StringIO,
        "file": partial(open, path, "w+", encoding="utf-8"),
        "temporary": partial(tempfile.TemporaryFile, "w+", encoding="utf-8"),
    }
    with made[kind]() as file:
        with pytest.raises(TypeError, match=r"open in text mode: open it in binary mode, 'wb'"):
            array_file.write(file, "model", {}, {})
        assert file.tell() == 0
        file.write("text")
        file.seek(0)
        with pytest.raises(TypeError, match=r"open in text mode: open it in binary mode, 'rb'"):
            array_file.read(file, "model")


def test_binary_content_read_as_text_is_refused(path):
    array_file.write(path, "model", {}, ARRAYS)
    with open(path, encoding="utf-8") as file, pytest.raises(TypeError, match="text mode"):
        array_file.read(file, "model")


def test_file_objects_that_go_the_other_way(path):
    path.write_bytes(b"old")
    with open(path, "rb") as file, pytest.raises(ValueError, match="not open for writing"):
        array_file.write(file, "model", {}, {})
    assert path.read_bytes() == b"old"
    with open(path, "wb") as file, pytest.raises(ValueError, match="not open for reading"):
        array_file.read(file, "model")


def test_a_file_object_that_stands_in_the_wrong_place():
    file = io.BytesIO()
    array_file.write(file, "model", {}, ARRAYS)
    with pytest.raises(ValueError, match=r"nothing to read from where it stands: after writing, seek\(0\)"):
        array_file.read(file, "model")
    array_file.write(file, "model", {"second": True}, {})
    file.seek(0)
    with pytest.raises(ValueError, match="holds 2 files, saved one after another"):
        array_file.read(file, "model")


def written(*headers, arrays=ARRAYS):
    file, starts = io.BytesIO(), []
    for header in headers:
        starts.append(file.tell())
        array_file.write(file, "model", {"n": header}, arrays)
    file.seek(0)
    return file, starts


def test_several_files_in_one_file_object(path):
    """The message tells where the last begins, and that is so; for a path too, where it was loaded without a word."""
    file, starts = written(1, 2, 3)
    with pytest.raises(
        ValueError, match=r"the BytesIO holds 3 files, .* begins (.*) bytes after where it stood"
    ) as told:
        array_file.read(file, "model")
    assert str(starts[2]) in str(told.value)
    assert "seek there to load it; before saving to it anew, seek(0) and truncate()" in str(told.value)
    file.seek(starts[1])
    with pytest.raises(ValueError, match=f"2 files, .* begins {starts[2] - starts[1]} bytes after where it stood"):
        array_file.read(file, "model")
    file.seek(starts[2])
    assert array_file.read(file, "model")[0] == {"n": 3}
    path.write_bytes(file.getvalue())
    with pytest.raises(ValueError, match=f"holds 3 files, .* begins at byte {starts[2]}: open it, seek there"):
        array_file.read(path, "model")


def test_files_of_several_kinds_in_one_file_object():
    for kinds in (("model", "other"), ("other", "model")):
        file = io.BytesIO()
        for kind in kinds:
            array_file.write(file, kind, {}, ARRAYS)
        file.seek(0)
        with pytest.raises(ValueError, match="holds 2 files, saved one after another"):
            array_file.read(file, "model")


@pytest.mark.parametrize("of_path", [False, True], ids=["file object", "path"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "zip64"])
def test_a_shorter_file_over_a_longer_one(path, of_path, large, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2 if large else 1 << 16)
    file, _ = written(1, arrays={**ARRAYS, "long": np.arange(1000.0)})
    longer = len(file.getvalue())
    array_file.write(file, "model", {"n": 2}, ARRAYS)
    size = file.tell()
    path.write_bytes(file.getvalue())
    file.seek(0)
    with pytest.raises(
        ValueError, match=f"holds {longer - size} bytes more behind the {size} of a whole file, .* shorter"
    ):
        array_file.read(path if of_path else file, "model")
    file.truncate(size)
    file.seek(0)
    assert array_file.read(file, "model")[0] == {"n": 2}


@pytest.mark.parametrize("of_path", [False, True], ids=["file object", "path"])
@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_something_else_beside_a_file(path, of_path, size):
    file, _ = written(1)
    for content, said in (
        (file.getvalue() + b"x" * size, f"holds {size} bytes more behind the {len(file.getvalue())} of a whole file"),
        (b"x" * size + file.getvalue(), f"holds {size} bytes of something else before the file: seek behind them"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=said):
            array_file.read(path if of_path else io.BytesIO(content), "model")


def test_arrays_that_hold_what_ends_an_archive():
    """Numbers may look like parts of an archive, be it a whole one."""
    inner, _ = written(1)
    arrays = {"a": np.frombuffer(b"PK\x05\x06" * 30, np.uint8), "b": np.frombuffer(inner.getvalue(), np.uint8)}
    file, _ = written(1, arrays=arrays)
    found = array_file.read(file, "model")[1]
    assert {name: array.tolist() for name, array in found.items()} == {name: a.tolist() for name, a in arrays.items()}
    file.write(file.getvalue())
    file.seek(0)
    with pytest.raises(ValueError, match="holds 2 files"):
        array_file.read(file, "model")


@pytest.mark.parametrize("target", [None, 3, b"path"])
def test_no_target(target):
    for action in (lambda: array_file.write(target, "model", {}, {}), lambda: array_file.read(target, "model")):
        with pytest.raises(TypeError, match="path must be a path or a file object open in binary mode"):
            action()
