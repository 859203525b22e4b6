"""The experiment of Duchi, Hazan and Singer's Table 1."""

import bz2
import re
from pathlib import Path

import numpy as np
import pytest
from places import A9A

from fastadagrad.compare import duchi
from fastadagrad.compare.duchi import CONTENDERS, PENALTIES, RATES, as_records, table1, text_of
from fastadagrad.compare.labelled_text import load_text
from fastadagrad.compare.online_passes import Pass, Pool


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
    [l1] = {line.l1 for line in lines if line.method not in ("PA", "AROW")}
    assert [line.l1 for line in lines[4:]] == [0.0, 0.0]
    leader = lines[0]
    assert leader.method == "RDA"
    assert abs(leader.nonzeros[0] - 0.2) <= 0.05
    for line in lines:
        assert set(line.rates) <= {0.03, 0.3}
        for each in (line.errors, line.nonzeros, line.mistakes):
            assert each.shape == (3,)
            assert ((each >= 0) & (each <= 1)).all()
    again = table1(path, shuffles=3, nonzeros=0.2, rates=(0.03, 0.3))
    assert as_records(again) == as_records(lines)
    shown = text_of(lines).splitlines()
    assert len(shown) == 7 + any(line.at_end.any() for line in lines)
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
    for text in ("words", "tf-idf"):
        for line in table1(path, shuffles=2, nonzeros=0.5, text=text):
            assert line.errors.max() < 0.05, (text, line.method)
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
    assert len(table1(path, positive="2", shuffles=1, rates=(0.1,))) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shuffles": 0}, "shuffles must be a whole number of at least 1, not 0"),
        ({"shuffles": 2.0}, "shuffles must be a whole number of at least 1, not 2.0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"held_out": 1.0}, "held_out must be between 0 and 1"),
        ({"nonzeros": 0.0}, "nonzeros must be between 0 and 1"),
        ({"nonzeros": "0.1"}, "nonzeros must be a number, not '0.1'"),
        ({"rates": ()}, "rates must be one number above 0, or several different ones"),
        ({"rates": (0.0, 1.0)}, "rates must be one number above 0, or several different ones"),
        ({"rates": (1.0, float("nan"))}, "each of rates must be finite and at least 0, not nan"),
        ({"delta": -1.0}, "delta must be finite and at least 0, not -1.0"),
        ({"delta": float("nan")}, "delta must be finite and at least 0, not nan"),
        ({"text": "stems"}, "text must be one of words, bigrams, tf-idf, not 'stems'"),
        ({"held_out": 1e-9}, "leaves none"),
    ],
)
def test_nonsense(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        table1("breast_cancer", **arguments)


def test_a_file_with_named_columns(tmp_path):
    pytest.importorskip("pyarrow")
    rng, path = np.random.default_rng(3), tmp_path / "some.csv"
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.standard_normal((40, 2))]
    path.write_text("\n".join(["a,b,kind", *rows]))
    with pytest.raises(ValueError, match=r"as in .*some\.csv:COLUMN; there are 'a', 'b', 'kind'"):
        table1(path)
    assert len(table1(f"{path}:kind", shuffles=1, rates=(0.1,))) == 6


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
    rda, fb, adagrad_rda, adagrad_fb, _, _ = table1(A9A)
    for sparse, full in ((rda, fb), (adagrad_rda, adagrad_fb)):
        assert sparse.nonzeros.mean() < 0.5 * full.nonzeros.mean()
        assert sparse.errors.mean() < 0.2


def test_what_is_trained_on_judged_and_chosen(tmp_path, monkeypatch):
    """Passes see what is not held out, in an order for each shuffle; errors are those on what is, of the best rate."""
    rng, seen = np.random.default_rng(0), []
    path = write(tmp_path / "data.svm", rng)
    best_of = {"RDA": 0.1, "FB": 0.3, "AdaGrad-RDA": 0.1, "AdaGrad-FB": 0.3, "PA": 0.1, "AROW": 0.3}

    def one_pass(self, contender, rate, l1, delta, order):
        seen.append((contender.name, rate, l1, tuple(order)))
        weights = np.zeros(60)
        weights[: 6 if l1 > 1e-3 else 30] = 1 if rate == best_of[contender.name] else -1
        return Pass(rate, 5 if rate in (best_of[contender.name], 0.9) else 50, weights)

    judged = []

    def error(self, weights, rows):
        judged.append((weights[0], tuple(rows)))
        return 0.25

    monkeypatch.setattr(Pool, "one_pass", one_pass)
    monkeypatch.setattr(Pool, "error", error)
    lines = table1(path, shuffles=4, rates=(0.9, 0.3, 0.1))
    orders = {each[3] for each in seen}
    assert len(orders) == 4
    assert {len(order) for order in orders} == {300}
    assert {len(set(order)) for order in orders} == {300}
    for (sign, rows), order in zip(judged, [each[3] for each in seen if each[1] == 0.1][-24:], strict=True):
        assert sign == 1
        assert set(rows) | set(order) == set(range(400))
        assert not set(rows) & set(order)
    for line in lines:
        assert set(line.rates) == {best_of[line.method]}
        assert set(line.nonzeros) == ({0.1} if line.l1 else {0.5})
        assert set(line.errors) == {0.25}
        assert line.l1 > 1e-3 or line.method in ("PA", "AROW")
        assert not line.at_end.any()


def by_mistakes(monkeypatch, mistakes_of, share_of=lambda contender, rate, l1: 0.1):
    """Passes whose mistakes and shares of weights are given; returns the rates that have been tried."""
    tried = []

    def one_pass(self, contender, rate, l1, delta, order):
        tried.append((contender.name, rate, l1))
        weights = np.zeros(self._features)
        weights[: round(share_of(contender, rate, l1) * self._features)] = 1
        return Pass(rate, mistakes_of(contender, rate), weights)

    monkeypatch.setattr(Pool, "one_pass", one_pass)
    return tried


def far(contender, rate):
    """Mistakes that are fewest at 1000 for RDA, at 1e-6 for FB, and elsewhere at 0.1."""
    best = {"RDA": 3, "FB": -6}.get(contender.name, -1)
    return 10 + round(10 * abs(np.log10(rate) - best))


def test_the_grid_goes_on_until_the_best_rate_is_inside(tmp_path, monkeypatch, caplog):
    tried = by_mistakes(monkeypatch, far)
    lines = {line.method: line for line in table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=1)}
    assert lines["RDA"].rates == pytest.approx(1e3)
    assert lines["FB"].rates == pytest.approx(1e-6)
    assert lines["PA"].rates == pytest.approx(0.1)
    assert not any(line.at_end.any() for line in lines.values())
    rates = {name: sorted({rate for method, rate, _ in tried if method == name}) for name in lines}
    assert rates["RDA"] == pytest.approx([10 ** (k / 2) for k in range(-6, 8)])
    assert rates["FB"] == pytest.approx([10 ** (k / 2) for k in range(-13, 3)])
    assert rates["AROW"] == sorted(RATES)
    assert caplog.text == ""


def test_a_grid_of_ones_own_stays_and_its_ends_are_told(tmp_path, monkeypatch, caplog):
    tried = by_mistakes(monkeypatch, far)
    lines = table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=2, rates=(0.01, 0.1, 1.0))
    assert {rate for _, rate, _ in tried} == {0.01, 0.1, 1.0}
    assert [line.method for line in lines if line.at_end.all()] == ["RDA", "FB"]
    assert "at an end of its grid, so that a wider one may do better: RDA, FB" in caplog.text
    shown = text_of(lines).splitlines()
    assert [row.split()[0] for row in shown[1:-1] if "*" in row] == ["RDA", "FB"]
    assert shown[-1].startswith("*")


def test_a_search_without_end_ends(tmp_path, monkeypatch, caplog):
    by_mistakes(monkeypatch, lambda contender, rate: round(1e6 - 1e4 * np.log10(rate)))
    lines = table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=1)
    assert all(line.at_end.all() for line in lines)
    assert lines[0].rates == pytest.approx(10.0 * 10**6)
    assert "a wider one may do better: RDA, FB, AdaGrad-RDA, AdaGrad-FB, PA, AROW" in caplog.text


def test_rates_that_are_alike_are_no_end(tmp_path, monkeypatch, caplog):
    """Where nothing is learned, all rates make the same mistakes: the lowest is taken, and none beyond it is tried."""
    tried = by_mistakes(monkeypatch, lambda contender, rate: 7)
    lines = table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=1)
    assert {rate for _, rate, _ in tried} == {*RATES}
    assert all(line.rates == [RATES[0]] for line in lines)
    assert not any(line.at_end.any() for line in lines)
    assert caplog.text == ""


def test_the_penalty_is_the_one_of_rda(tmp_path, monkeypatch):
    shares = {"RDA": lambda l1: min(1.0, 1e-4 / l1), "AdaGrad-RDA": lambda l1: 0.9}
    tried = by_mistakes(
        monkeypatch, far, lambda contender, rate, l1: shares.get(contender.name, lambda l1: 0.5)(max(l1, 1e-9))
    )
    lines = table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=1, rates=(1.0,))
    assert lines[0].l1 == pytest.approx(1e-3, rel=0.1)
    assert {line.l1 for line in lines[:4]} == {lines[0].l1}
    assert {name for name, _, l1 in tried if l1 and l1 != lines[0].l1} == {"RDA"}


@pytest.mark.parametrize(("below", "above"), [(0.03, 0.6), (0.0, 0.02), (0.7, 0.9)])
def test_a_share_that_does_not_exist_is_told(tmp_path, monkeypatch, caplog, below, above):
    by_mistakes(monkeypatch, far, lambda contender, rate, l1: above if l1 < 3e-4 else below)
    lines = table1(write(tmp_path / "data.svm", np.random.default_rng(0)), shuffles=1, rates=(1.0,))
    nearest = min((above, below), key=lambda share: abs(round(share * 60) / 60 - 0.1))
    assert "no penalty was found under which RDA keeps about 0.1 of the weights" in caplog.text
    assert lines[0].nonzeros == pytest.approx(nearest, abs=0.01)
    assert PENALTIES[0] <= lines[0].l1 <= PENALTIES[-1]


def test_no_empty_model_is_chosen_where_there_is_another(tmp_path, monkeypatch):
    """Under the penalty nearest to the wanted share nothing is left; and at the rate of the fewest mistakes."""
    path = write(tmp_path / "data.svm", np.random.default_rng(0))
    with monkeypatch.context() as patched:
        tried = by_mistakes(patched, far, lambda contender, rate, l1: 0.5 if l1 < 3e-4 else 0.0)
        lines = table1(path, shuffles=1, rates=(1.0,))
        assert {l1 for _, _, l1 in tried if l1 >= 3e-4}
    assert all(line.nonzeros == pytest.approx(0.5, abs=0.01) for line in lines)
    with monkeypatch.context() as patched:
        by_mistakes(patched, far, lambda contender, rate, l1: 0.1 if rate < 0.05 else 0.0)
        lines = table1(path, shuffles=1, rates=(0.01, 0.1, 1.0))
    assert [line.rates.tolist() for line in lines] == [[0.01]] * 6
    assert all(line.at_end.all() for line in lines)
    by_mistakes(monkeypatch, far, lambda contender, rate, l1: 0.0)
    lines = table1(path, shuffles=1, rates=(0.01, 0.1, 1.0))
    assert [line.rates.tolist() for line in lines] == [[1.0], [0.01], *[[0.1]] * 4]  # all are empty


def test_a_small_data_set_has_no_empty_models():
    lines = table1("iris", positive="1", shuffles=2, rates=(0.01, 0.1, 1.0))
    for line in lines:
        assert line.errors.max() < 1.0, line.method
        assert line.nonzeros.min() > 0, line.method


def test_the_rates_that_are_shown_are_of_the_grid(tmp_path, monkeypatch):
    """The lowest and the highest of the shuffles' best rates, each with a mark if it is at an end."""
    path, orders = write(tmp_path / "data.svm", np.random.default_rng(0)), {}

    def one_pass(self, contender, rate, l1, delta, order):
        shuffle = orders.setdefault(tuple(order), len(orders))
        best = 0.1 if contender.name == "FB" and shuffle == 0 else 0.316
        return Pass(rate, round(100 * abs(np.log10(rate / best))), np.ones(self._features))

    monkeypatch.setattr(Pool, "one_pass", one_pass)
    lines = {line.method: line for line in table1(path, shuffles=2, rates="0.1:1:3")}
    shown = {row.split()[0]: row for row in text_of([*lines.values()]).splitlines()}
    assert lines["FB"].rates.tolist() == [0.1, 0.316228]
    assert " 0.1* to 0.316 " in shown["FB"]
    assert " 0.316 " in shown["RDA"]
    assert "*" not in shown["RDA"]
    assert len({len(shown[line]) for line in lines}) == 1


def test_features_of_a_text_are_refused_for_what_is_none(tmp_path):
    with pytest.raises(
        ValueError, match=r"text says what .* of a \.tsv file, but breast_cancer is none: .* not 'words'"
    ):
        table1("breast_cancer", text="words")


def test_the_benchmark_makes_the_table_of_the_page():
    root = Path(__file__).parents[2]
    if not (root / "bench").exists():
        pytest.skip("the benchmarks are not here")
    shown = re.search(r"python bench/table1_newsgroups.py \S+(.*)", (root / "docs/howto/table1.md").read_text())
    assert "--text" not in shown[1]
    assert '"--text", choices=FEATURES, default="words"' in (root / "bench/table1_newsgroups.py").read_text()


def test_patterns_of_labels(tmp_path):
    pytest.importorskip("sklearn")
    path = tmp_path / "groups.tsv"
    rng = np.random.default_rng(0)
    kinds = {"comp.a": "disk", "comp.b": "screen", "rec": "ball", "comp.*": "star"}
    rows = [f"{label}\t{word} word{rng.integers(9)}" for label, word in kinds.items() for _ in range(30)]
    path.write_text("\n".join(rows))
    few = {"shuffles": 1, "rates": (0.1,), "nonzeros": 0.5}
    by_pattern = duchi._two_classes("x", load_text(path)[1], "comp.[ab]")
    assert (by_pattern > 0).sum() == 60
    by_name = duchi._two_classes("x", load_text(path)[1], "comp.*")  # a label, and not a pattern
    assert (by_name > 0).sum() == 30
    assert len(table1(path, positive="comp.?", **few)) == 6
    with pytest.raises(ValueError, match=r"positive must be the one .* or a pattern that some match, not '\*'"):
        table1(path, positive="*", **few)


def test_features_of_text(tmp_path):
    pytest.importorskip("sklearn")
    path = tmp_path / "few.tsv"
    path.write_text("a\tbig dog big dog\nb\tdog big\n")
    words, _ = load_text(path)
    assert words.shape == (2, 2)
    assert words.data.tolist() == [1.0] * 4
    bigrams, _ = load_text(path, "bigrams")
    assert bigrams.shape == (2, 2)  # big dog, dog big
    assert bigrams.data.tolist() == [1.0] * 3
    weighted, _ = load_text(path, "tf-idf")
    np.testing.assert_allclose(np.add.reduceat(weighted.data**2, weighted.indptr[:-1]), 1.0)


@pytest.mark.parametrize("text", ["bigrams", "words", "tf-idf"])
def test_text_without_features_is_told_with_its_file(tmp_path, text):
    pytest.importorskip("sklearn")
    path = tmp_path / "none.tsv"
    path.write_text("a\t! ?\nb\t-\n")
    with pytest.raises(ValueError, match=r"none\.tsv: no example has a"):
        load_text(path, text)


def test_the_error_is_the_share_of_wrong_signs():
    starts = np.array([0, 2, 3, 3])
    features = duchi.CSR(np.array([1.0, -2.0, 3.0]), np.array([0, 1, 1], np.int32), starts, (3, 2))
    pool = Pool(features, np.array([1.0, -1.0, 1.0]))
    weights = np.array([1.0, 1.0])  # scores -1, 3 and, of the empty example, 0, which is wrong too
    assert pool.error(weights, np.arange(3)) == 1.0
    assert pool.error(-weights, np.arange(3)) == 1 / 3
    assert pool.error(-weights, np.array([0, 1])) == 0.0


@pytest.mark.parametrize("t", [0, 3, 99])
def test_rates_of_forward_backward_splitting_shrink(t):
    hyper = {each.name: each.hyper(0.5, 0.01, 0.25) for each in CONTENDERS if each.penalised}
    assert hyper["FB"]["learning_rate"](t) == 0.5 / np.sqrt(t + 1)
    assert [each.rule.name for each in CONTENDERS if each.penalised] == ["rda", "sgd", "adagrad_da", "adagrad"]
    assert {name for name, each in hyper.items() if each.get("rms_regularizer") == 0.25} == {
        "AdaGrad-RDA",
        "AdaGrad-FB",
    }
