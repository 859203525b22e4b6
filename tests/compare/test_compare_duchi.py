"""The experiment of Duchi, Hazan and Singer's Table 1."""

import bz2

import numpy as np
import pytest
from places import A9A

from fastadagrad.compare import duchi
from fastadagrad.compare.duchi import CONTENDERS, as_records, table1, text_of
from fastadagrad.compare.labelled_text import load_text


def write(path, rng, n=400, features=60, classes=2):
    """Examples whose label is the sign of two features, or one more than it, among many that say nothing."""
    X = rng.random((n, features)) < 0.2
    X[:, 0] |= ~X.any(axis=1)
    labels = np.where(X[:, 1] ^ X[:, 2], 1 + (rng.random(n) * (classes - 1)).astype(int), 0)
    lines = [f"{y} " + " ".join(f"{j + 1}:1" for j in np.flatnonzero(row)) for y, row in zip(labels, X, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_lines(tmp_path):
    told = []
    path = write(tmp_path / "data.svm", np.random.default_rng(0))
    lines = table1(path, shuffles=3, nonzeros=0.2, rates=(0.03, 0.3), tell=told.append)
    assert [line.method for line in lines] == [each.name for each in CONTENDERS] == [x.split(":")[0] for x in told[1:]]
    [l1] = {line.l1 for line in lines}
    leader = lines[2]
    assert leader.method == "AdaGrad-RDA"
    assert abs(leader.nonzeros[0] - 0.2) <= 0.05
    for line in lines:
        assert set(line.rates) <= {0.03, 0.3}
        for each in (line.errors, line.nonzeros, line.mistakes):
            assert each.shape == (3,)
            assert ((each >= 0) & (each <= 1)).all()
    again = table1(path, shuffles=3, nonzeros=0.2, rates=(0.03, 0.3))
    assert as_records(again) == as_records(lines)
    shown = text_of(lines).splitlines()
    assert len(shown) == 5
    assert f"{lines[0].errors.mean():.4f}" in shown[1]
    assert l1 > 0


def test_text(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "mail.tsv"
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    lines = []
    for _ in range(300):
        spam = rng.random() < 0.4
        chosen = [*rng.choice(words, 4), "money" if spam else "meeting"]
        lines.append(("spam" if spam else "ham") + "\t" + " ".join(chosen))
    path.write_text("\n".join(lines))
    for line in table1(path, shuffles=2, nonzeros=0.5):
        assert line.errors.max() < 0.05, line.method
    bad = tmp_path / "bad.tsv"
    bad.write_text("ham\tone\nno tab here\n")
    with pytest.raises(ValueError, match="line 2: must be a label, a tab and text, not 'no tab here"):
        table1(bad)
    bad.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        table1(bad)


SMS = "spam\twin a prize\nham\tsee you\nspam\tfree cash\nother\tlunch é\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n \t\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("compress", [bytes, bz2.compress])
def test_text_in_its_encodings(tmp_path, encoding, end, newline, compress):
    """Neither the byte order mark nor a blank line is an example, or part of one."""
    pytest.importorskip("sklearn")
    plain, path = tmp_path / "plain.tsv", tmp_path / ("sms.tsv" if compress is bytes else "sms.tsv.bz2")
    plain.write_bytes(SMS.encode())
    path.write_bytes(compress((SMS + end).replace("\n", newline).encode(encoding)))
    expected, labels = load_text(plain)
    features, found = load_text(path)
    assert found.tolist() == labels.tolist() == ["spam", "ham", "spam", "other"]
    np.testing.assert_array_equal(features.data, expected.data)
    np.testing.assert_array_equal(features.indices, expected.indices)


def test_marks_within_a_text_that_was_joined(tmp_path):
    pytest.importorskip("sklearn")
    path = tmp_path / "sms.tsv"
    path.write_bytes(2 * SMS.encode("utf-8-sig"))
    assert set(load_text(path)[1].tolist()) == {"spam", "ham", "other"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ham\tone\nham\tcafé\n".encode("latin-1"), r"sms\.tsv, line 2: is no text in UTF-8, for its byte 0xe9"),
        (b"PK\x03\x04", r"sms\.tsv is a zip archive"),
        (b"PAR1", r"sms\.tsv is a Parquet file"),
        (b"\xff\xfe\x00\xd8", r"sms\.tsv begins as UTF-16 does, but is damaged"),
        (SMS.encode("utf-16-le"), r"sms\.tsv is text in UTF-16 without a byte order mark"),
        (b"\n\n", r"sms\.tsv is empty"),
    ],
)
def test_what_is_no_text_is_told_with_its_file(tmp_path, content, said):
    pytest.importorskip("sklearn")
    (tmp_path / "sms.tsv").write_bytes(content)
    with pytest.raises(ValueError, match=said):
        load_text(tmp_path / "sms.tsv")


def test_one_class_against_the_others(tmp_path):
    path = write(tmp_path / "data.svm", np.random.default_rng(2), classes=3)
    with pytest.raises(ValueError, match=r"labels 0, 1, 2: positive must be the one .* not None"):
        table1(path)
    with pytest.raises(ValueError, match="not '5'"):
        table1(path, positive="5")
    assert len(table1(path, positive="2", shuffles=1, rates=(0.1,))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffles": 0}, "shuffles must be at least 1"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1"),
        ({"nonzeros": 0.0}, "nonzeros must be between 0 and 1"),
        ({"rates": ()}, "rates must be positive"),
        ({"rates": (0.0, 1.0)}, "rates must be positive"),
        ({"held_out": 1e-9}, "leaves none"),
    ],
)
def test_nonsense(arguments, message):
    with pytest.raises(ValueError, match=message):
        table1("breast_cancer", **arguments)


def test_compressed_files(tmp_path):
    path = write(tmp_path / "data.svm", np.random.default_rng(0))
    packed = tmp_path / "data.svm.bz2"
    packed.write_bytes(bz2.compress(path.read_bytes()))
    few = {"shuffles": 1, "rates": (0.1,)}
    assert as_records(table1(packed, **few)) == as_records(table1(path, **few))


@pytest.mark.slow
def test_on_a9a():
    """At equal penalty dual averaging keeps a fraction of the weights that forward-backward splitting keeps."""
    if not A9A.exists():
        pytest.skip(f"{A9A} is not there")
    rda, fb, adagrad_rda, adagrad_fb = table1(A9A)
    for sparse, full in ((rda, fb), (adagrad_rda, adagrad_fb)):
        assert sparse.nonzeros.mean() < 0.5 * full.nonzeros.mean()
        assert sparse.errors.mean() < 0.2


def test_what_is_trained_on_judged_and_chosen(tmp_path, monkeypatch):
    """Passes see what is not held out, in an order for each shuffle; errors are those on what is, of the best rate."""
    rng, seen = np.random.default_rng(0), []
    path = write(tmp_path / "data.svm", rng)
    best_of = {"RDA": 0.1, "FB": 0.3, "AdaGrad-RDA": 0.1, "AdaGrad-FB": 0.3}

    def one_pass(self, contender, rate, l1, order):
        seen.append((contender.name, rate, l1, tuple(order)))
        weights = np.zeros(60)
        weights[: 6 if l1 > 1e-3 else 30] = 1 if rate == best_of[contender.name] else -1
        return duchi._Pass(rate, 5 if rate in (best_of[contender.name], 0.9) else 50, weights)

    judged = []

    def error(self, weights, rows):
        judged.append((weights[0], tuple(rows)))
        return 0.25

    monkeypatch.setattr(duchi._Pool, "one_pass", one_pass)
    monkeypatch.setattr(duchi._Pool, "error", error)
    lines = table1(path, shuffles=4, rates=(0.9, 0.3, 0.1))
    orders = {each[3] for each in seen}
    assert len(orders) == 4
    assert {len(order) for order in orders} == {300}
    assert {len(set(order)) for order in orders} == {300}
    for (sign, rows), order in zip(judged, [each[3] for each in seen if each[1] == 0.1][-16:], strict=True):
        assert sign == 1
        assert set(rows) | set(order) == set(range(400))
        assert not set(rows) & set(order)
    for line in lines:
        assert set(line.rates) == {best_of[line.method]}
        assert set(line.nonzeros) == {0.1}
        assert set(line.errors) == {0.25}
        assert line.l1 > 1e-3


def test_the_error_is_the_share_of_wrong_signs():
    starts = np.array([0, 2, 3, 3])
    features = duchi.CSR(np.array([1.0, -2.0, 3.0]), np.array([0, 1, 1], np.int32), starts, (3, 2))
    pool = duchi._Pool(features, np.array([1.0, -1.0, 1.0]))
    weights = np.array([1.0, 1.0])  # scores -1, 3 and, of the empty example, 0, which is wrong too
    assert pool.error(weights, np.arange(3)) == 1.0
    assert pool.error(-weights, np.arange(3)) == 1 / 3
    assert pool.error(-weights, np.array([0, 1])) == 0.0


@pytest.mark.parametrize("t", [0, 3, 99])
def test_rates_of_forward_backward_splitting_shrink(t):
    hyper = {each.name: each.hyper(0.5, 0.01) for each in CONTENDERS}
    assert hyper["FB"]["learning_rate"](t) == 0.5 / np.sqrt(t + 1)
    assert {each.rule.name for each in CONTENDERS} == {"rda", "sgd", "adagrad_da", "adagrad"}
