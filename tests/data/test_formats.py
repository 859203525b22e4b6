"""Formats are told by what is in a file, whatever its name."""

import gzip
import pickle

import numpy as np
import pytest
from file_bytes import COMPRESS, DENSE, TEXT, npy_bytes, npz_bytes, parquet_bytes, tar_bytes, to_dense, zip_bytes

from fastadagrad.data.loading import load


@pytest.mark.parametrize("compress", COMPRESS.values())
@pytest.mark.parametrize("name", ["data", "data.svm", "data.gz", "data.xz", "data.txt"])
def test_what_is_compressed_is_read_whatever_its_name(tmp_path, compress, name):
    path = tmp_path / name
    path.write_bytes(compress(TEXT))
    np.testing.assert_array_equal(to_dense(load(path).features), np.float32(DENSE))
    path.write_bytes(compress(npz_bytes(X=np.eye(3), y=[2, 1, 0])))
    assert load(path).labels.tolist() == [2, 1, 0]


@pytest.mark.parametrize(("name", "compress"), [("data", bytes), ("data.svm", bytes), ("data.npz.gz", gzip.compress)])
def test_arrays_are_read_whatever_the_name_of_their_file(tmp_path, name, compress):
    path = tmp_path / name
    path.write_bytes(compress(npz_bytes(X=np.eye(3), y=[2, 1, 0], z=[5, 6, 7])))
    assert load(path).labels.tolist() == [2, 1, 0]
    assert load(path, target="z").labels.tolist() == [5, 6, 7]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_text_of_other_encodings(tmp_path, encoding, compress):
    path = tmp_path / "data"
    text = TEXT.decode().encode(encoding)
    if encoding == "utf-16-be":
        text = b"\xfe\xff" + text
    path.write_bytes(compress(text))
    if encoding == "utf-16-le":  # without a mark
        with pytest.raises(ValueError, match="is text in UTF-16 without a byte order mark: save it as UTF-8"):
            load(path)
    else:
        np.testing.assert_array_equal(to_dense(load(path).features), np.float32(DENSE))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: npy_bytes(np.eye(3)), r"is a \.npy file.*numpy\.savez"),
        (parquet_bytes, "say which column has the labels"),
        (tar_bytes, "is a tar archive"),
        (lambda: gzip.compress(tar_bytes()), "is a tar archive"),
        (lambda: gzip.compress(gzip.compress(TEXT)), "is compressed by gzip"),
        (lambda: b"ARROW1\0\0", "is no sound Arrow file"),
        (lambda: b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (lambda: b"\x28\xb5\x2f\xfd\x00", "is compressed by zstd"),
        (lambda: pickle.dumps({"X": 1}), "is a pickle, which is never loaded"),
        (lambda: b"\x00\x01\x02", "is binary"),
        (lambda: b"<!DOCTYPE html>\n<html>", r"looks like a web page \(has the download failed"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "looks like the pointer to a file in Git LFS"),
        (lambda: b"1 1:2\r-1 2:1\r", "looks like text whose lines end in a carriage return alone"),
        (lambda: zip_bytes({"train.svm": TEXT}), "is a zip archive of train.svm: unpack it first"),
        (lambda: zip_bytes({}), "is a zip archive of nothing"),
        (
            lambda: zip_bytes({"header.json": b"{}", "0.npy": b""}),
            "is a model or an optimizer that fastadagrad has saved",
        ),
        (lambda: b'{"X": [[1, 2]]}', "looks like JSON"),
        (lambda: b"@relation iris\n@attribute a real", "looks like ARFF"),
        (lambda: b"1 |f a:1 b:2\n", "looks like Vowpal Wabbit's format"),
        (lambda: b"x1,x2,y\n1,2,3\n", "line 1: this looks like CSV .*target, --target COLUMN"),
        (lambda: b"5.1,3.5,1.4,0\n", "line 1: this looks like CSV"),
        (lambda: b"a;b\n1;2\n", "line 1: this looks like CSV"),
        (lambda: b"2020-01-01 12:30,5,6\n", "line 1: this looks like CSV"),
        (lambda: b"a\tb\n1\t2\n", "line 1: this looks like a table separated by tabs"),
        (lambda: b"1 2 3\n", r"'2' is not of the form index:value; if these are plain numbers, numpy\.savez"),
        (lambda: b"1 1:2\n\xef\xbb\xbf1 1:2\n", r"line 2: '\\ufeff1' begins with a byte order mark"),
        (lambda: b"1,2 3:4\n", "'1,2' has several labels"),
        (lambda: b"1 3:4,5 6:7,8\n", "'3:4,5' has a value that is not a finite decimal number"),
        (lambda: b"1\t1:2\tx:3\n", "'x:3' has an index that is not a whole number"),
    ],
)
def test_another_format_is_called_by_its_name(tmp_path, content, said):
    path = tmp_path / "data.svm"
    path.write_bytes(content())
    with pytest.raises(ValueError, match=rf"data\.svm.* {said}"):
        load(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy_bytes(np.eye(3)), r"it is a \.npy file"),
        (gzip.compress(TEXT), "it is compressed by gzip"),
        (TEXT, "no zip"),
    ],
    ids=["npy", "gzip", "text"],
)
def test_what_is_under_the_name_npz_is_told(tmp_path, content, said):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"not a sound \.npz file of plain arrays: {said}"):
        load(tmp_path / "a.npz")
