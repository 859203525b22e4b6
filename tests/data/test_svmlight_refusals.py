"""Text that the svmlight parser refuses: errors name the line and the text, and what is no svmlight text at all."""

import re

import numpy as np
import pytest

from fastadagrad.data.svmlight import parse

# text, number of the line, part of what is said
LINES = [
    (b"1 2:3\n\n# c\n1,2 3:4", 4, "'1,2' has several labels"),
    (b"1 1:2 1:3", 1, "index 1 occurs more than once"),
    (b"#\n1 5:1\n\n -1 1:1 3:1 1:2 #", 4, "index 1 occurs more than once"),
    (b"1 1:1\n1 -4:2", 2, "'-4:2' has a negative index"),
    (b"1 2147483648:1", 1, "beyond int32"),
    (b"1 0000000000000000000000001:1", 1, "more than 19 digits"),
    (b"1 99999999999999999999999:1", 1, "more than 19 digits"),
    (b"1 1:nan", 1, "'1:nan' has a value that is not a finite decimal number"),
    (b"1 1:-inf", 1, "not a finite decimal number"),
    (b"1 1:0x1p3", 1, "not a finite decimal number"),
    (b"1 1:1_0", 1, "not a finite decimal number"),
    (b"1 1:", 1, "not a finite decimal number"),
    (b"1 1:1e", 1, "not a finite decimal number"),
    (b"1 1:.", 1, "not a finite decimal number"),
    (b"1 1:1:1", 1, "not a finite decimal number"),
    (b"1\n2\n1 3:1e999", 3, "'1e999' is too large for float64"),
    (b"1\n-1e400", 2, "'-1e400' is too large for float64"),
    (b"1 1:1e18446744073709551617", 1, "is too large for float64"),
    (b"inf", 1, "'inf' is not a label"),
    (b"\n1:2", 2, "'1:2' stands where the label should; each line starts with one (a label"),
    (b"1 7", 1, "'7' is not of the form index:value"),
    (b"1 +7:1", 1, "index that is not a whole number"),
    (b"1 qid:x 1:1", 1, "is not a query id"),
    (b"1 1:1 qid:3", 1, "is not a query id"),
    (b"1 0:1", 1, "zero_based is False"),
    (b"1 \xff\xfe:1", 1, r"\\xff\\xfe:1"),
    (b"1 1:" + b"7" * 1000 + b"x", 1, "7..."),
]
LINES_WITH_WEIGHTS = [
    (b"+1:2 2:3\n\n-1 4:5", 3, "'-1' is not a label and its weight, as 1:2.5, and others are: give each line both"),
    (b"+1:2 2:3\n-1:-2 4:5", 2, "'-2' is not a weight: behind its label and a colon, a finite number of at least 0"),
    (b"+1:-0", 1, "'-0' is not a weight"),
    (b"+1:nan 1:3", 1, "'nan' is not a weight"),
    (b"+1:inf", 1, "'inf' is not a weight"),
    (b"+1:1e999", 1, "'1e999' is too large for float64"),
    (b"+1:2:3 1:3", 1, "'2:3' is not a weight"),
    (b"+1:2,5 1:3", 1, "'2,5' is not a weight"),
    (b"+1:2#\n+1: 2 1:3", 2, "'+1:' is not a label and its weight"),
    (b"+1:2\n+1:\n", 2, "'+1:' is not a label and its weight"),
    (b"+1:2\n+1:#\n", 2, "'+1:' is not a label and its weight"),
    (b"+1:2\nx:2\n", 2, "'x:2' is not a label and its weight"),
    (b"+1:2 1:3 4\n", 1, "'4' is not of the form index:value"),
    (b"9007199254740993.0:2 1:3", 1, "is a whole number that float64 cannot hold"),
    (b"1 1:3\n+1:2 1:3", 2, "'+1:2' stands where the label should; each line starts with one"),
    (b"1:2 1:3\n0:2.5 2:3", 1, "'1:2' stands where the label should; each line starts with one (a label"),
]


@pytest.mark.parametrize(("text", "line", "said"), LINES + LINES_WITH_WEIGHTS)
def test_errors_name_the_line_and_the_text(text, line, said):
    with pytest.raises(ValueError, match=f"^line {line}: ") as error:
        parse(text, zero_based=False)
    assert said in str(error.value)
    assert len(str(error.value)) < 300


def test_damaged_utf_16_is_refused():
    with pytest.raises(ValueError, match="begins as UTF-16 does, but is damaged"):
        parse(b"\xff\xfe\x00\xd8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\x1f\x8b\x08\x00abc", "this is compressed by gzip: decompress it first"),
        (b"PK\x03\x04\x14\x00", "this is a zip archive"),
        (b"\x93NUMPY\x01\x00", r"this is a \.npy file"),
        (b"1\0 \0001\0:\0002\0\n\0", "this is text in UTF-16 without a byte order mark"),
        (b"\0001\0 \0001\0:\0002\0\n", "this is text in UTF-16 without a byte order mark"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(text, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        parse(text)


@pytest.mark.parametrize(
    "arguments", [{"dtype": np.int32}, {"dtype": "float16"}, {"zero_based": "maybe"}, {"weighted": "yes"}]
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=r"must be .*, (got|not) "):
        parse(b"1", **arguments)


def test_str_is_refused():
    with pytest.raises(TypeError, match="bytes"):
        parse("1 1:1")


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740992"),
        ("+0009007199254740995", "9007199254740996"),
        ("9007199254740993.", "9007199254740992"),
        ("9007199254740993.000", "9007199254740992"),
        ("12345678901234567890", "12345678901234567168"),
        ("9" * 60, r"[0-9.]+"),
        ("9" * 300, r"[0-9.]+"),
    ],
)
def test_whole_labels_that_would_become_one_with_others_are_refused(text, becomes):
    told = re.escape(text[:20])
    said = rf"^line 3: the label '{told}.*' is a whole number that float64 cannot hold: it would become {becomes},"
    for zero_based in (True, False, "auto"):
        with pytest.raises(ValueError, match=said):
            parse(f"1 1:1\n\n{text} 2:1\n{text} 3:1\n".encode(), zero_based=zero_based)
    assert parse(f"1 1:{text}\n".encode()).data.tolist() == [float(text)]
