"""Whatever is done to a file: reading it gives what was written, or a ValueError."""

import bz2
import errno
import gzip
import io
import itertools
import lzma
import random
import zipfile

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.data import loading
from fastadagrad.data.tables import CSR
from fastadagrad.support.contents import refusing_damage

X = np.random.default_rng(0).normal(size=(30, 3))


def packed(content, compression):
    """The same archive, compressed in another way."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return made.getvalue()


def saved(save, *args, **arrays):
    file = io.BytesIO()
    save(file, *args, **arrays)
    return file.getvalue()


def model_file():
    return saved(fa.LinearModel(max_epochs=1).fit(X, X[:, 0] > 0).save)


def checkpoint():
    """Of an optimizer in the midst of an iteration."""
    opt = fa.ADAGRAD(lambda w, x: (float(w @ w), 2 * w), np.ones(3), learning_rate=0.1)
    epochs = opt.iterate(fa.Dataset(np.arange(6.0), batch_size=2, rng=1))
    next(epochs)
    return saved(opt.save)


def read_model(path):
    model = fa.LinearModel.load(path)
    return model.coef_.tobytes(), model.intercept_.tobytes(), repr(model), model.history


def read_checkpoint(path):
    opt = fa.ADAGRAD(lambda w, x: (float(w @ w), 2 * w), np.zeros(3), learning_rate=0.1)
    opt.load(path)
    return opt.params["param0"].tobytes(), opt.state["param0"]["accumulator"].tobytes(), opt.history


def read_table(path):
    table = loading.load(path)
    features = table.features
    parts = (features.data, features.indices, features.indptr) if isinstance(features, CSR) else (features,)
    return [part.tobytes() for part in (*parts, table.labels)]


CSR_ARRAYS = {"X_data": np.ones(3), "X_indices": np.arange(3), "X_indptr": np.arange(4), "X_shape": np.array([3, 3])}
KINDS = {
    "model": (model_file, read_model),
    "checkpoint": (checkpoint, read_checkpoint),
    "dense": (lambda: saved(np.savez, X=X, y=X[:, 0] > 0, feature_names=np.array([*"abc"])), read_table),
    "csr": (lambda: saved(np.savez, y=np.arange(3), **CSR_ARRAYS), read_table),
}
COMPRESSIONS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def mutations(content, count):
    """Copies of it that are cut off, or in which bits are flipped, or bytes lost or replaced."""
    draw = random.Random(7)
    for number in range(count):
        mutant = bytearray(content)
        at = draw.randrange(len(content))
        if number % 8 == 0:
            del mutant[at:]
        elif number % 8 == 1:
            mutant[at : at + draw.randrange(1, 40)] = draw.randbytes(draw.randrange(9))
        else:
            for _ in range(draw.choice((1, 1, 2, 8))):
                mutant[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        yield bytes(mutant)


def attempted(read, path):
    """What is read, and the reason why not."""
    try:
        return read(path), None
    except ValueError as error:
        return None, str(error)


def refused_of(mutants, read, path, expected):
    """How many are refused; the others must be read as they were before, if it is said how that was."""
    refused = 0
    for mutant in mutants:
        path.write_bytes(mutant)
        found, reason = attempted(read, path)
        if reason is not None:
            assert str(path) in reason
            refused += 1
        elif expected is not None:
            assert found == expected
    return refused


@pytest.mark.parametrize(
    ("kind", "compression"),
    [("model", "stored"), ("checkpoint", "stored"), *itertools.product(("dense", "csr"), COMPRESSIONS)],
)
def test_damaged_archives_are_refused_or_read_as_they_were(kind, compression, tmp_path):
    make, read = KINDS[kind]
    content, path = packed(make(), COMPRESSIONS[compression]), tmp_path / "file.npz"
    path.write_bytes(content)
    expected = read(path)
    assert refused_of(mutations(content, 200), read, path, expected) > 100


def test_a_stream_that_cannot_be_inflated_is_refused(tmp_path):
    """The checksum, which comes last, does not get to tell."""
    path = tmp_path / "file.npz"
    content = bytearray(packed(saved(np.savez, X=X, y=X[:, 0] > 0), zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = archive.getinfo("X.npy")
    content[member.header_offset + 30 + len(member.filename)] |= 0b110  # a block of a kind that there is not
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.npz is not a sound \.npz file of plain arrays: .*invalid block"):
        loading.load(path)


@pytest.mark.parametrize("compression", ["deflated", "bzip2", "lzma"])
@pytest.mark.parametrize("kind", ["model", "checkpoint"])
def test_files_of_ours_that_are_compressed_are_refused(kind, compression, tmp_path):
    make, read = KINDS[kind]
    path = tmp_path / "file.npz"
    path.write_bytes(packed(make(), COMPRESSIONS[compression]))
    with pytest.raises(ValueError, match=r"not a whole .*: its member 'header\.json' is compressed"):
        read(path)


def test_damaged_arrays_alone_are_refused(tmp_path):
    """A bare array has no checksum: what its damaged bytes are is not seen."""
    mutants = mutations(saved(np.save, X), 400)
    assert refused_of(mutants, lambda path: loading.load(path, labelled=False), tmp_path / "file.npy", None) > 100


@pytest.mark.parametrize("codec", [gzip, bz2, lzma])
def test_damaged_text_that_is_compressed_is_refused(codec, tmp_path):
    content, path = codec.compress(b"1 1:0.5\n0 2:0.25\n" * 20), tmp_path / "file.svm"
    path.write_bytes(content)
    expected = read_table(path)
    mutants = (content[:3] + mutant for mutant in mutations(content[3:], 200))
    assert refused_of(mutants, read_table, path, expected) > 100


def test_what_the_system_refuses_is_no_damage():
    with pytest.raises(OSError, match="Input/output"), refusing_damage("damaged"):
        raise OSError(errno.EIO, "Input/output error")
    for reason in (OSError("Invalid data stream"), OSError(errno.EINVAL, "Invalid argument")):
        with pytest.raises(ValueError, match=r"damaged: .*nvalid"), refusing_damage("damaged"):
            raise reason
    with pytest.raises(KeyboardInterrupt), refusing_damage("damaged"):
        raise KeyboardInterrupt
