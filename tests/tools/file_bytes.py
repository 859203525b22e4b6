"""Examples in files of several formats, as bytes."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import numpy as np
import pytest

from fastadagrad.data.loading import CSR

TEXT = b"+1 1:0.5 3:2  # first\n-1 2:1e-3 1:4\n0\n"
DENSE = [[0.5, 0, 2], [4, 1e-3, 0], [0, 0, 0]]
COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def to_dense(csr: CSR) -> np.ndarray:
    dense = np.zeros(csr.shape, csr.data.dtype)
    for row, (start, stop) in enumerate(zip(csr.indptr, csr.indptr[1:], strict=False)):
        for entry in range(start, stop):
            dense[row, csr.indices[entry]] += csr.data[entry]
    return dense


def npz_bytes(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy_bytes(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def parquet_bytes() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1.0, 2.0]}), file)
    return file.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_bytes() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("data.svm")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT))
    return file.getvalue()
