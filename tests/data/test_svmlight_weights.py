"""Labels of svmlight text that have weights, against Python's ``split`` and ``float``."""

import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.compare import duchi, linear_losses
from fastadagrad.compare.named_sources import source_named
from fastadagrad.data.loading import load
from fastadagrad.data.svmlight import SLOW_BATCH, has_weights, parse
from fastadagrad.kernels.text import svmlight as kernels
from fastadagrad.linear import LinearModel

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"
WEIGHT = NUMBER.replace("[+-]?", r"\+?", 1)


def plain_parse(text: bytes):
    """Labels, weights and [(column, value)] of each row."""
    labels, weights, rows = [], [], []
    for line in text.decode().split("\n"):
        tokens = line.split("#")[0].split()
        if not tokens:
            continue
        label, colon, weight = tokens.pop(0).partition(":")
        if not (colon and re.fullmatch(NUMBER, label) and re.fullmatch(WEIGHT, weight)):
            raise ValueError(line)
        labels.append(float(label))
        weights.append(float(weight))
        if tokens and re.fullmatch("qid:[0-9]+", tokens[0]):
            tokens.pop(0)
        row = {}
        for token in tokens:
            column, value = re.fullmatch(f"([0-9]+):({NUMBER})", token).groups()[:2]
            if int(column) in row:
                raise ValueError(token)
            row[int(column)] = float(value)
        rows.append(sorted(row.items()))
    return labels, weights, rows


def as_plain(text: bytes):
    data, indices, indptr, labels, _, _, weights = parse(text, zero_based=True)
    rows = [[*zip(indices[a:b].tolist(), data[a:b].tolist(), strict=True)] for a, b in pairwise(indptr.tolist())]
    return labels.tolist(), weights.tolist(), rows


def test_reads_every_form_that_a_line_has():
    text = b"# c 1:2\n\n+1:.5 1:.5 3:5.  # 9:9\r\n-1:+2\tqid:12  2:1e-3\n \t\n0:0#c\n2:1e2 qid:1#\n3:4.25"
    assert as_plain(text) == plain_parse(text)
    assert parse(text).weights.tolist() == [0.5, 2.0, 0.0, 100.0, 4.25]
    assert parse(text, dtype=np.float32).weights.dtype == np.float64


LINES = st.lists(
    st.tuples(
        st.integers(-(10**6), 10**6).map(lambda n: f"{n:+}"),
        st.from_regex(WEIGHT, fullmatch=True).filter(lambda text: np.isfinite(float(text))),
        st.lists(st.tuples(st.integers(0, 50), st.floats(-1e9, 1e9)), max_size=4, unique_by=lambda pair: pair[0]),
        st.sampled_from(["", " ", "\t# c 3:4", " qid:3", "\r"]),
    ),
    min_size=1,
    max_size=30,
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(LINES)
def test_any_text_is_read_as_float_reads_it(lines):
    text = "\n".join(
        f"{label}:{weight}{end if 'qid' in end else ''}{''.join(f' {j}:{x!r}' for j, x in row)}"
        f"{'' if 'qid' in end else end}"
        for label, weight, row, end in lines
    ).encode()
    assert repr(as_plain(text)) == repr(plain_parse(text))


def test_weights_left_to_python_may_outnumber_a_batch():
    numbers = [f"{i}e-40" for i in range(1, 2 * SLOW_BATCH + 7)]
    text = "\n".join(f"+1e-33:{weight} 3:{weight}" for weight in numbers).encode()
    parsed = parse(text)
    expected = [float(each) for each in numbers]
    assert parsed.weights.tolist() == parsed.data.tolist() == expected
    assert parsed.labels.tolist() == [1e-33] * len(numbers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"+1:2 3:4", True),
        (b"# c\n\n 1:2 3:4\n  -1:2 3:4", True),
        (b"1:2 3:4\n1.5:2 3:4", True),
        (b"1:2 3:4\n.5:2", True),
        (b"1:2 3:4\n1e3:2", True),
        (b"1:2 3:4\n2:3 -4:5 # -1:2\n", False),  # columns, as it seems, and a comment
        (b"1 3:4\n-1:2 3:4", False),
        (b"1", False),
        (b"", False),
    ],
)
def test_weights_are_told_from_columns_by_their_labels(text, expected):
    assert has_weights(text) == has_weights(np.frombuffer(text, np.uint8)) == expected


def test_it_can_be_said_that_there_are_weights():
    text = b"1:2.5 3:3\n0:4 2:1"
    assert parse(text, weighted=True).weights.tolist() == [2.5, 4.0]
    assert parse(b"+1 1:3", weighted=False).weights is None
    with pytest.raises(ValueError, match=r"line 1: '\+1:2' stands where the label should"):
        parse(b"+1:2 1:3", weighted=False)
    unlabelled = parse(text, labelled=False)
    assert unlabelled.weights is None
    assert np.isnan(unlabelled.labels).all()
    assert parse(b"+1:2 3:4", labelled=False).labels.tolist() == [1]


def test_it_is_the_same_compiled_loop():
    parse(b"1 1:2\n")
    versions = len(kernels.scan.signatures)
    parse(b"+1:2 1:2\n")
    assert len(kernels.scan.signatures) == versions


def test_a_model_trains_with_the_weights_of_a_file(tmp_path):
    rng = np.random.default_rng(0)
    X, weights = rng.integers(1, 9, (30, 4)), rng.integers(0, 4, 30)
    y = np.where(X[:, 0] > X[:, 1], 1, -1)
    rows = [" ".join(f"{j + 1}:{x}" for j, x in enumerate(row)) for row in X.tolist()]
    for name, lines in (
        ("weighed", [f"{label:+}:{weight} {row}" for label, weight, row in zip(y, weights, rows, strict=True)]),
        ("plain", [f"{label:+} {row}" for label, row in zip(y, rows, strict=True)]),
    ):
        (tmp_path / name).write_text("\n".join(lines))
    weighed, plain = load(tmp_path / "weighed"), load(tmp_path / "plain")
    np.testing.assert_array_equal(weighed.weights, weights)
    assert plain.weights is None
    found = LinearModel("logistic").fit(weighed)
    expected = LinearModel("logistic").fit(plain.features, plain.labels, sample_weight=weights)
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    assert not np.array_equal(found.coef_, LinearModel("logistic").fit(plain).coef_)
    assert found.evaluate(weighed) == found.evaluate(plain)


def test_what_would_pass_over_weights_refuses_them(tmp_path):
    (tmp_path / "some.svm").write_text("+1:2 1:3\n-1:1 2:1\n")
    path = str(tmp_path / "some.svm")
    for use in (
        partial(linear_losses.examples, source_named(path), "", "auto"),
        partial(duchi._read, path, None, None),
    ):
        with pytest.raises(ValueError, match=r"some\.svm has weights of examples \(label:weight\), which have no"):
            use()
