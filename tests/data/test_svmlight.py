"""The svmlight parser against Python's own ``split`` and ``float``, and against scikit-learn."""

import codecs
import gzip
import io
import os
import re
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import A9A

from fastadagrad.data.svmlight import SLOW_BATCH, parse
from fastadagrad.kernels.text import svmlight as kernels

NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
QUERY = re.compile(rb"qid:[0-9]+")
FEATURE = re.compile(rb"([0-9]+):(.*)", re.DOTALL)


def number(token: bytes) -> float:
    if not NUMBER.fullmatch(token) or np.isinf(float(token)):
        raise ValueError(token)
    return float(token)


def is_exact(token: str) -> bool:
    """Whether it can be a label: a whole number without an exponent has to be one as float64, too."""
    if "e" in token.lower():  # with which it is real; a long one would take a fraction for ever
        return True
    exact = Fraction(token)
    return exact.denominator != 1 or exact == Fraction(float(token))


def label(token: bytes) -> float:
    value = number(token)
    if not is_exact(token.decode()):
        raise ValueError(token)
    return value


# Of UTF-32 first, as its mark begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: None,  # what follows is taken as it is
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def plain_parse(text: bytes) -> tuple[list[float], list[dict[int, float]]]:
    """Labels, and {index: value} of each row, indices as in the file."""
    labels, rows = [], []
    mark = next(filter(text.startswith, BYTE_ORDER_MARKS), None)
    if mark is not None:
        encoding, text = BYTE_ORDER_MARKS[mark], text.removeprefix(mark)
        text = text.decode(encoding).encode() if encoding else text
    for line in text.split(b"\n"):
        tokens = line.split(b"#")[0].split()
        if not tokens:
            continue
        labels.append(label(tokens.pop(0)))
        if tokens and QUERY.fullmatch(tokens[0]):
            tokens.pop(0)
        row = {}
        for token in tokens:
            match = FEATURE.fullmatch(token)
            if not match or int(match[1]) in row or int(match[1]) > 2**31 - 1:
                raise ValueError(token)
            row[int(match[1])] = number(match[2])
        rows.append(row)
    return labels, rows


def outcome(function, text):
    try:
        return function(text)
    except ValueError:
        return "refused"


def as_plain(text: bytes):
    """What ``parse`` gives, in the form of ``plain_parse``; repr tells -0.0 from 0.0."""
    data, indices, indptr, labels, *_ = parse(text, zero_based=True, weighted=False)
    rows = [dict(zip(indices[a:b].tolist(), data[a:b].tolist(), strict=True)) for a, b in pairwise(indptr.tolist())]
    return labels.tolist(), rows


def assert_as_plain(text: bytes) -> None:
    expected = outcome(plain_parse, text)
    if expected != "refused":
        expected = (expected[0], [dict(sorted(row.items())) for row in expected[1]])
    assert repr(outcome(as_plain, text)) == repr(expected)


def assert_correctly_rounded(numbers: list[str]) -> None:
    """As values, and those that can be labels also as such."""
    as_labels = [text for text in numbers if is_exact(text)]
    for texts, found in (
        (numbers, parse("\n".join(f"1 1:{text}" for text in numbers).encode()).data),
        (as_labels, parse("\n".join(as_labels).encode()).labels),
    ):
        expected = np.array([float(text) for text in texts])
        wrong = np.flatnonzero(found.view(np.int64) != expected.view(np.int64))
        assert not wrong.size, [(texts[i], found[i], expected[i]) for i in wrong[:5]]


def test_reads_every_form_that_the_format_has():
    text = (
        b"# header: 1:2\n\n+1 1:.5 3:5.  # comment 9:9\r\n"
        b"-1\tqid:12  2:1e-3   4:-2E+2\t\n  \t\n0\n2.5 3:1#c\n1e1 2:+7 1:6"
    )
    data, indices, indptr, labels, n_features, zero_based, weights = parse(text)
    assert weights is None
    assert data.tolist() == [0.5, 5.0, 1e-3, -200.0, 1.0, 6.0, 7.0]
    assert indices.tolist() == [0, 2, 1, 3, 2, 0, 1]
    assert indptr.tolist() == [0, 2, 4, 4, 5, 7]
    assert labels.tolist() == [1.0, -1.0, 0.0, 2.5, 10.0]
    assert (n_features, zero_based) == (4, False)
    assert (data.dtype, indices.dtype, indptr.dtype, labels.dtype) == (
        np.float64,
        np.int32,
        np.int64,
        np.float64,
    )


@pytest.mark.parametrize("text", [b"", b"\n", b"   ", b"# only a comment", b"\r\n\r\n"])
def test_text_without_rows_gives_empty_arrays(text):
    data, indices, indptr, labels, n_features, zero_based, weights = parse(text)
    assert (data.size, indices.size, indptr.tolist(), labels.size, n_features, zero_based) == (0, 0, [0], 0, 0, None)
    assert weights is None


@pytest.mark.parametrize(
    ("text", "zero_based", "columns", "width"),
    [
        (b"1 1:1 3:1", "auto", [0, 2], 3),
        (b"1 1:1 3:1\n1 0:1", "auto", [1, 3, 0], 4),
        (b"1 1:1 3:1", True, [1, 3], 4),
        (b"1 1:1 3:1", False, [0, 2], 3),
        (b"1 2147483647:1", False, [2147483646], 2147483647),
        (b"1 2147483647:1", True, [2147483647], 2147483648),
        (b"1\n2", False, [], 0),
    ],
)
def test_where_columns_start(text, zero_based, columns, width):
    parsed = parse(text, zero_based=zero_based)
    assert parsed.indices.tolist() == columns
    assert parsed.n_features == width


MARKS = {"utf-8-sig": b"", "utf-16": b"", "utf-32": b"", "utf-16-be": b"\xfe\xff", "utf-32-be": b"\x00\x00\xfe\xff"}


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda text: np.frombuffer(text, np.uint8)])
def test_a_byte_order_mark_is_no_part_of_the_text(encoding, kind):
    text = MARKS[encoding] + "1 1:0.5 # é\n-1 2:1\n".encode(encoding)
    parsed = parse(kind(text))
    assert (parsed.labels.tolist(), parsed.data.tolist()) == ([1, -1], [0.5, 1])
    with pytest.raises(ValueError, match="line 2: 'x' is not a label"):
        parse(kind(MARKS[encoding] + "1 1:0.5\nx 2:1\n".encode(encoding)))


def test_float32_is_the_rounded_float64_and_must_be_finite():
    texts = ["0.1", "16777217", "1e-50", "3.4028235e38", "3.40282356e38", "1.00000017881393432617187499"]
    data = parse(" ".join(["1", *(f"{i}:{x}" for i, x in enumerate(texts))]).encode(), dtype=np.float32).data
    assert data.dtype == np.float32
    assert data.tolist() == np.array([float(text) for text in texts]).astype(np.float32).tolist()
    with pytest.raises(ValueError, match=r"line 2: '1e39' is too large for float32"):
        parse(b"1e39\n1 1:1e39", dtype=np.float32)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda text: np.frombuffer(text, np.uint8)])
def test_any_buffer_compiles_one_version_and_is_left_alone(kind):
    parse(b"1 1:1\n")
    versions = len(kernels.scan.signatures)
    for text in (b"1 1:2 2:3\n", b"1 1:2 2:3"):
        buffer = kind(text)
        assert parse(buffer).data.tolist() == [2.0, 3.0]
        assert bytes(buffer) == text
    assert len(kernels.scan.signatures) == versions


def test_numbers_left_to_python_may_outnumber_a_batch():
    count = 2 * SLOW_BATCH + 7
    numbers = [f"{i}e-40" for i in range(1, count)]
    assert_correctly_rounded(numbers)
    row = " ".join(f"{i}:{text}" for i, text in enumerate(numbers))
    text = "\n".join([row, f"1e-30 {row}", "7e-35"]).replace("0:1e-40", "1e-31 0:1e-40", 1).encode()
    parsed = parse(text)
    assert parsed.data.tolist() == 2 * [float(text) for text in numbers]
    assert parsed.labels.tolist() == [1e-31, 1e-30, 7e-35]


@pytest.mark.parametrize(
    "texts",
    [
        ["9007199254740991", "9007199254740992", "9007199254740994", "-9007199254740996"],
        ["9007199254740992.0", "36893488147419103232"],
        ["9.007199254740993e15", "1e300", "9007199254740993.5", "12345678901234567890E0", "0.12345678901234567891"],
    ],
    ids=["whole", "powers of two", "real"],
)
def test_other_large_labels_are_what_float_gives(texts):
    assert parse("\n".join(texts).encode()).labels.tolist() == [*map(float, texts)]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.from_regex(NUMBER.pattern.decode(), fullmatch=True), min_size=1, max_size=40))
def test_any_decimal_is_what_float_gives(numbers):
    assert_correctly_rounded([text for text in numbers if not np.isinf(float(text))] + ["1"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 10**21), st.integers(-30, 30), st.integers(0, 25)), min_size=1, max_size=50))
def test_decimals_about_the_limits_of_each_path(parts):
    numbers = []
    for mantissa, power, point in parts:
        digits = str(mantissa).rjust(point + 1, "0")
        cut = len(digits) - point
        numbers += [f"{mantissa}e{power}", f"-{digits[:cut]}.{digits[cut:]}", f"{digits[:cut]}.{digits[cut:]}E{power}"]
    assert_correctly_rounded(numbers)


@pytest.mark.parametrize("form", ["%.6g", "%.15g", "%.16g", "%.17g", "%.18e", "%.19e", "%r", "%.3f", "%.17f"])
def test_what_other_writers_print(form):
    rng = np.random.default_rng(3)
    values = rng.standard_normal(20_000) * 10.0 ** rng.integers(-12, 12, 20_000)
    assert_correctly_rounded([form % value for value in values.tolist()])


def test_decimals_at_and_beside_halfway_points():
    rng = np.random.default_rng(5)
    numbers = [str(2**53 + i) for i in range(-3, 40)] + [f"{10**19 - i}" for i in range(40)]
    for value in (rng.random(400) * 10.0 ** rng.integers(-3, 6, 400)).tolist():
        halfway = (Fraction(value) + Fraction(np.nextafter(value, np.inf).item())) / 2
        for places in (16, 17, 18, 19, 20, 60):
            below = int(halfway * 10**places)
            for mantissa in (below - 1, below, below + 1):
                digits = str(mantissa).rjust(places + 1, "0")
                numbers += [f"{mantissa}e-{places}", f"{digits[:-places]}.{digits[-places:]}"]
    for power in (1, 2, 3):  # halfway points that have at most 19 digits
        for value in rng.integers(2**52, 2**53, 200).tolist():
            mantissa = (2 * value + 1) * 5**power
            numbers += [f"{mantissa + beside}e-{power}" for beside in (-1, 0, 1)]
    numbers += ["1e-18446744073709551617", "0e18446744073709551617", "1e0000000000000000000000001"]
    numbers += [f"{int(v) * 2 + 1}" for v in rng.integers(2**53, 4 * 10**18, 500)]
    numbers += [f"{int(v) * 2 + 1}.5" for v in rng.integers(2**51, 2**52, 500)]
    assert_correctly_rounded(numbers)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.dictionaries(st.integers(0, 2**31 - 1), st.floats(allow_nan=False, allow_infinity=False), max_size=8),
        ),
        max_size=8,
    )
)
def test_written_and_read_back_bit_for_bit(rows):
    text = "".join(f"{label!r} " + " ".join(f"{i}:{v!r}" for i, v in row.items()) + "\n" for label, row in rows)
    data, indices, indptr, labels, *_ = parse(text.encode(), zero_based=True)
    flat = [pair for _, row in rows for pair in sorted(row.items())]
    assert indices.tolist() == [i for i, _ in flat]
    assert data.tobytes() == np.array([v for _, v in flat], np.float64).tobytes()
    assert labels.tobytes() == np.array([label for label, _ in rows], np.float64).tobytes()
    assert np.diff(indptr).tolist() == [len(row) for _, row in rows]


@example(b"\xef\xbb\xbf")
@example(b"\xef\xbb\xbf1 2:3\n")
@example("1 2:3\n".encode("utf-16"))
@example("1 2:3\n".encode("utf-32"))
@example(b"\xff\xfe1")
@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.binary(max_size=80))
def test_random_bytes_are_read_or_refused(text):
    assert_as_plain(text)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(st.text(alphabet="0123456789.:+-eE#qid \t\r\n,\v\f\0", max_size=60))
def test_random_near_svmlight_text_agrees_with_the_plain_parser(text):
    assert_as_plain(text.encode())


TOKENS = ["1", "-1", "+1", "2.5", "1:2", "2:.5", "3:5.", "10:1e-3", "2:7", "0:1", "qid:3", "#", "# x:y",
          "\n", "\r\n", "\t", "1:1e300", "4:123456789012345678", "5:1e-30", "1:x", "-1:1"]  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.lists(st.sampled_from(TOKENS), max_size=14), st.sampled_from([" ", "  ", ""]))
def test_random_tokens_agree_with_the_plain_parser(tokens, separator):
    assert_as_plain(separator.join(tokens).encode())


def test_every_truncation_agrees_with_the_plain_parser():
    text = b"+1 qid:7 1:0.5 13:-2.25e-3 # note\r\n-1 2:12345678901234567890 1:.5 3:1e-30\n"
    for size in range(len(text) + 1):
        assert_as_plain(text[:size])


def test_agrees_with_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(11)
    features = sparse.random(300, 500, density=0.05, format="csr", random_state=7)
    features.data[:] = rng.standard_normal(features.nnz) * 10.0 ** rng.integers(-8, 8, features.nnz)
    for zero_based in (True, False):
        file = io.BytesIO()
        datasets.dump_svmlight_file(features, rng.standard_normal(300), file, zero_based=zero_based)
        assert_same_as_scikit_learn(datasets, file.getvalue())


def test_agrees_with_scikit_learn_on_a9a():
    datasets = pytest.importorskip("sklearn.datasets")
    if not A9A.exists():
        pytest.skip("a9a.train.svm.gz is not in ../shared/data")
    assert_same_as_scikit_learn(datasets, gzip.decompress(A9A.read_bytes()))


def assert_same_as_scikit_learn(datasets, text: bytes) -> None:
    expected, labels = datasets.load_svmlight_file(io.BytesIO(text))
    parsed = parse(text)
    np.testing.assert_array_equal(parsed.data, expected.data, strict=True)
    np.testing.assert_array_equal(parsed.indices, expected.indices)
    np.testing.assert_array_equal(parsed.indptr, expected.indptr)
    np.testing.assert_array_equal(parsed.labels, labels, strict=True)
    assert parsed.n_features == expected.shape[1]


def test_only_the_first_process_compiles(tmp_path):
    script = (
        "from fastadagrad.data.svmlight import parse, kernels\n"
        "parse(b'1 2:1')\n"
        "dispatchers = (kernels.count, kernels.scan)\n"
        "print(sum(sum(d.stats.cache_misses.values()) for d in dispatchers))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    compiled = [
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True).stdout
        for _ in range(2)
    ]
    assert int(compiled[0]) >= 2
    assert int(compiled[1]) == 0
