"""Fixtures of the tests of linear models."""

import pyarrow as pa
import pyarrow.parquet
import pytest
from streamed import LABELS, K, X, text_of

from fastadagrad.data import stream_tables, stream_text
from fastadagrad.linear import streams


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of some kilobytes, so that small files have many."""
    monkeypatch.setattr(stream_tables, "BATCH", 8 * K * 256)
    monkeypatch.setattr(stream_text, "BLOCK", 4000)


@pytest.fixture
def buffer_of(monkeypatch):
    """Sets the number of values in a buffer."""

    def set_buffer(values):
        defaults = streams.fit_stream.__kwdefaults__
        monkeypatch.setattr(streams.fit_stream, "__kwdefaults__", {**defaults, "buffer": values})

    return set_buffer


@pytest.fixture
def text_file(tmp_path):
    def make(loss):
        path = tmp_path / f"{loss}.svm"
        path.write_text(text_of(LABELS[loss]))
        return path

    return make


@pytest.fixture
def parquet_file(tmp_path):
    def make(loss, **more):
        path = tmp_path / f"{loss}.parquet"
        columns = {f"x{j}": X[:, j] for j in range(K)}
        pa.parquet.write_table(pa.table({**columns, **more, "y": LABELS[loss]}), path, row_group_size=500)
        return path

    return make
