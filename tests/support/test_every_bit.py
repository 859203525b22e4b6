"""Every bit of a file flipped: the file is refused, or has the contents that it had."""

import io

import numpy as np
import pytest
from checkpoints import Model, contents_of

from fastadagrad.support import array_file


def outcomes(content, read, bits_of=lambda position: range(8)):
    """How many flips of bits were refused, and how many made no difference to what `read` returns."""
    expected, refused, same = read(io.BytesIO(content)), 0, 0
    for position in range(len(content)):
        for bit in bits_of(position):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            try:
                found = read(io.BytesIO(bytes(flipped)))
            except ValueError:
                refused += 1
            else:
                assert found == expected, (position, bit)
                same += 1
    return refused, same


def plain(file):
    """Header and arrays of a file as things that can be compared."""
    header, arrays = array_file.read(file, "example")
    return header, [(name, array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()]


def test_of_a_small_file():
    """Checksums of the zip cover header and arrays; what they do not cover changes nothing, or is checked."""
    file = io.BytesIO()
    array_file.write(
        file, "example", {"n": 1, "text": "abc"}, {"a": np.arange(3.0), "b/c": np.ones((2, 2), np.float32)}
    )
    refused, same = outcomes(file.getvalue(), plain)
    assert refused > 2 * same > 0


@pytest.mark.slow
def test_of_an_optimizer():
    """One bit of each byte."""
    model = Model()
    for _ in model.opt.iterate(model.data, max_epochs=2, validate_every=1):
        file = io.BytesIO()
        model.opt.save(file)
    other = Model()

    def loaded(file):
        other.opt.load(file)
        return contents_of(other.opt)

    refused, same = outcomes(file.getvalue(), loaded, lambda position: [position % 8])
    assert refused > 2 * same > 0


def test_equal_contents_are_equal_files():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        array_file.write(file, "example", {"n": 1}, {"a": np.arange(3.0)})
    assert files[0].getvalue() == files[1].getvalue()
    with np.load(io.BytesIO(files[0].getvalue())) as found:
        np.testing.assert_array_equal(found["a"], np.arange(3.0))
