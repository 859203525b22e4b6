"""Commands on streams and on files with named columns, in bounded memory and whole."""

import io
import json
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from command_line import run

from fastadagrad.cli import streaming
from fastadagrad.data import memory_at_hand, stream_tables, stream_text
from fastadagrad.linear import LinearModel

RNG = np.random.default_rng(3)
N = 900
X = RNG.normal(size=(N, 3)).round(3)
COLOUR = np.array(["red", "green", "blue"])[RNG.integers(0, 3, N)]
Y = np.where(X[:, 0] + (COLOUR == "red") > 0.5, "buy", "leave")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(stream_tables, "BATCH", 8 * 3 * 256)
    monkeypatch.setattr(stream_text, "BLOCK", 2000)


@pytest.fixture
def tables(tmp_path):
    """The same examples as CSV and as Parquet, with and without strings."""
    numbers = pa.table({**{f"x{j}": X[:, j] for j in range(3)}, "y": Y})
    strings = numbers.append_column("colour", pa.array(COLOUR))
    for name, table in (("numbers", numbers), ("strings", strings)):
        pa.csv.write_csv(table, tmp_path / f"{name}.csv")
        pa.parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=200)
    return tmp_path


def stdin(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))


@pytest.mark.parametrize("name", ["numbers.csv", "numbers.parquet", "strings.csv", "strings.parquet"])
@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_named_columns_are_trained_on_and_predicted(capsys, tables, name, how):
    path, model, out = tables / name, tables / "m", tables / "p"
    options = ["--target", "y", how, "--epochs", 5]
    status, report, err = run(capsys, "fit", path, *options, "--model", model, "--test", path, "--json")
    assert status == 0, err
    report = json.loads(report)
    assert (report["examples"], report["classes"]) == (N, ["buy", "leave"])
    assert report["features"] == (3 if name.startswith("numbers") else 2**18)
    assert report["test"]["accuracy"] > (0.95 if name.startswith("strings") else 0.75)
    status, _, err = run(capsys, "predict", model, path, "--output", out)
    assert status == 0, err
    assert f"accuracy {report['test']['accuracy']:.5g}" in err
    assert np.mean(np.array(out.read_text().split()) == Y) == report["test"]["accuracy"]
    found = json.loads(run(capsys, "predict", model, path, "--json")[1])
    assert found["predictions"] == out.read_text().split()
    assert found["evaluation"] == pytest.approx(report["test"], rel=1e-9)


def test_predictions_need_no_labels_and_columns_are_found_by_name(capsys, tables):
    model, later = tables / "m", tables / "later.csv"
    run(capsys, "fit", tables / "strings.csv", "--target", "y", "--model", model, "--stream", "--quiet")
    more = pa.table({"colour": COLOUR, "note": ["-"] * N, "x2": X[:, 2], "x0": X[:, 0], "x1": X[:, 1]})
    pa.csv.write_csv(more, later)
    out = [run(capsys, "predict", model, path)[1] for path in (later, tables / "strings.parquet")]
    assert out[0] == out[1]
    pa.csv.write_csv(more.drop_columns(["x1"]), later)
    status, _, err = run(capsys, "predict", model, later)
    assert status == 2
    assert "has no column 'x1' (a feature of the training)" in err


def test_a_stream_of_text_is_what_is_read_whole(capsys, text_file, tmp_path):
    models = [tmp_path / "a", tmp_path / "b"]
    # ADAGRAD would find a rate, and average the weights, of what is read whole.
    options = ["--method", "sgd", "--scale", "maxabs", "--no-shuffle", "--epochs", 2]
    for model, how in zip(models, ("--stream", "--no-stream"), strict=True):
        assert run(capsys, "fit", text_file, how, *options, "--model", model)[0] == 0
    one, other = map(LinearModel.load, models)
    np.testing.assert_array_equal(one.coef_, other.coef_)
    predictions = [run(capsys, "predict", model, text_file)[1] for model in models]
    assert predictions[0] == predictions[1] != ""


def test_the_progressive_table(capsys, text_file):
    status, out, _ = run(capsys, "fit", text_file, "--stream", "--epochs", 3, "--valid", text_file)
    lines = out.splitlines()
    rows = [line.split() for line in lines[2:] if line[:5].strip().isdigit()]
    assert status == 0
    assert lines[1].split() == ["epoch", "average", "since", "last", "examples", "best", "constant", "validation"]
    assert all(len(row) == 6 for row in rows)
    assert [row[3] for row in rows] == ["1", "2", "4", "8", "16", "32", "64", "128", "200", "200", "200"]
    assert [row[0] for row in rows] == ["1"] * 9 + ["2", "3"]
    assert sum(line.startswith("valid: loss") for line in lines) == 1
    assert run(capsys, "fit", text_file, "--stream", "--quiet")[1] == ""


def test_a_fraction_of_a_stream_validates(capsys, text_file, tmp_path):
    options = [text_file, "--stream", "--epochs", 3, "--valid", 0.25]
    status, out, err = run(capsys, "fit", *options, "--model", tmp_path / "m", "--json")
    assert status == 0, err
    report = json.loads(out)
    [aside] = re.findall(r"([0-9]+) of 200 examples are set aside for validation", err)
    assert report["examples"] == 200 - int(aside)
    kept = report["history"][report["best_epoch"] - 1]
    assert report["valid"] == {"loss": kept["valid_loss"], "accuracy": kept["valid_accuracy"]}
    assert kept["valid_loss"] == min(entry["valid_loss"] for entry in report["history"])
    lines = run(capsys, "fit", *options)[1].splitlines()
    rows = [line.split() for line in lines[2:] if line[:5].strip().isdigit()]
    assert [float(row[5]) for row in rows[-3:]] == pytest.approx(
        [entry["valid_loss"] for entry in report["history"]], rel=1e-4
    )
    assert lines[-1].startswith("valid: loss ")


def test_a_stream_finds_a_learning_rate(capsys, text_file):
    status, out, err = run(capsys, "fit", text_file, "--stream", "--epochs", 2, "--json")
    rate = json.loads(out)["learning_rate"]
    assert status == 0
    assert f"learning rate {rate:g}, by " in err
    asked = run(capsys, "fit", text_file, "--stream", "--epochs", 2, "--learning-rate", "auto", "--json")[1]
    assert json.loads(asked)["learning_rate"] == rate


def test_what_is_read_once_only_sets_nothing_aside(capsys, monkeypatch, text_file):
    stdin(monkeypatch, text_file.read_bytes())
    status, _, err = run(capsys, "fit", "-", "--stream", "--valid", 0.2)
    assert status == 2
    assert "--valid 0.2 of standard input, which can be read once only" in err


def test_standard_input_is_trained_on_and_scored(capsys, monkeypatch, text_file, tmp_path):
    stdin(monkeypatch, text_file.read_bytes())
    model = tmp_path / "m"
    status, out, err = run(capsys, "fit", "-", "--stream", "--epochs", 4, "--model", model)
    assert status == 0, err
    assert "can be read once only: one epoch, not 4" in err
    assert "hashed into 262,144" in out
    stdin(monkeypatch, text_file.read_bytes())
    status, out, err = run(capsys, "predict", model, "-")
    assert (status, len(out.split())) == (0, 200)
    unlabelled = b"\n".join(line.partition(b" ")[2] for line in text_file.read_bytes().splitlines())
    stdin(monkeypatch, unlabelled)
    assert run(capsys, "predict", model, "-")[1] == out


def test_csv_comes_through_standard_input(capsys, monkeypatch, tables):
    content = (tables / "strings.csv").read_bytes()
    for how in ("--stream", "--no-stream"):
        stdin(monkeypatch, content)
        assert run(capsys, "fit", "-", "--target", "y", how, "--model", tables / "m")[0] == 0
        stdin(monkeypatch, content)
        status, out, err = run(capsys, "predict", tables / "m", "-", "--format", "csv")
        assert (status, len(out.split())) == (0, N)
        assert "accuracy" in err


def test_training_goes_on(capsys, text_file, tmp_path):
    first, second, whole = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    options = [text_file, "--stream", "--no-shuffle", "--learning-rate", 0.1]
    run(capsys, "fit", *options, "--epochs", 3, "--model", whole)
    run(capsys, "fit", *options, "--epochs", 1, "--model", first)
    assert run(capsys, "fit", *options, "--epochs", 2, "--resume", first, "--model", second)[0] == 0
    np.testing.assert_array_equal(LinearModel.load(second).coef_, LinearModel.load(whole).coef_)
    run(capsys, "fit", text_file, "--no-stream", "--model", first)
    status, _, err = run(capsys, "fit", *options, "--resume", first)
    assert status == 2
    assert "no state of training to go on from: train it with --stream" in err


@pytest.mark.parametrize("share", [True, False])
def test_large_files_are_streamed(capsys, monkeypatch, text_file, share):
    monkeypatch.setattr(memory_at_hand, "LITTLE", 10)
    size = text_file.stat().st_size
    monkeypatch.setattr(memory_at_hand, "bytes_at_hand", lambda: streaming.SHARE * size + (-1 if share else 10**9))
    assert ("a stream" in run(capsys, "fit", text_file, "--epochs", 1)[1]) == share
    assert "a stream" not in run(capsys, "fit", text_file, "--epochs", 1, "--no-stream")[1]


def test_missing_numbers(capsys, tables):
    path, later = tables / "gaps.csv", tables / "later.csv"
    path.write_text("a,b,y\n1,2,0\n,4,1\n3,,1\n5,1,0\n")
    later.write_text("a,b\n,\n3,2.3333333333333335\n")
    for how in ("--stream", "--no-stream"):
        options = [path, "--target", "y", how]
        status, _, err = run(capsys, "fit", *options)
        assert status == 2
        assert "gaps.csv, row 1 (counted from 0), column 'a': is missing" in err
        assert run(capsys, "fit", *options, "--missing", "mean", "--model", tables / "m")[0] == 0
        first, second = run(capsys, "predict", tables / "m", later, "--proba", "--no-header")[1].splitlines()
        assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "strings.csv"], "say which column has the labels"),
        (["fit", "strings.csv", "--target", "z"], "no column 'z'"),
        (["fit", "train.svm", "--drop", "a"], "--drop names columns of CSV, Parquet or Arrow"),
        (["fit", "train.svm", "--stream", "--valid", "1e-9"], "validation=1e-09 of 200 examples sets none aside"),
        (["fit", "train.svm", "--resume", "m", "--no-stream"], "--resume goes on with a stream"),
        (["fit", "train.svm", "--stream", "--threads", "-1"], "threads must be"),
        (["fit", "iris", "--stream"], "iris"),
        (["fit", "train.svm", "--threads", "-5"], "--threads must be a whole number of at least 0, not -5"),
        (["fit", "train.svm", "--classes", "1,2"], "--classes names the labels of a stream"),
        (["fit", "train.svm", "--missing", "mean"], "--missing fills numbers of CSV, Parquet or Arrow, and train.svm"),
        (
            ["fit", "train.svm", "--missing", "zero", "--stream"],
            "--missing zero fills numbers of CSV, Parquet or Arrow",
        ),
        (["fit", "iris", "--missing", "zero"], "--missing fills numbers of CSV, Parquet or Arrow, and iris is none"),
    ],
)
def test_what_makes_no_sense_is_refused(capsys, monkeypatch, tables, text_file, arguments, message):
    monkeypatch.chdir(tables)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert message in err


def test_without_pyarrow_the_message_says_what_to_install(capsys, monkeypatch, tables):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, _, err = run(capsys, "fit", tables / "numbers.csv", "--target", "y")
    assert status == 2
    assert 'needs pyarrow: pip install "fastadagrad[tables]"' in err


@pytest.mark.parametrize(("option", "column"), [("--weight", "x1"), ("--target", "x2"), ("--weight", "colour")])
def test_a_feature_of_the_model_is_neither_label_nor_weight(capsys, tables, option, column):
    run(capsys, "fit", tables / "strings.csv", "--target", "y", "--model", tables / "m", "--quiet", "--epochs", 1)
    for name in ("strings.csv", "strings.parquet"):
        status, out, err = run(capsys, "predict", tables / "m", tables / name, option, column)
        expected = f"fastadagrad: {option} must be no feature of the training, as column {column!r} is"
        assert (status, out, err) == (2, "", f"{expected}: name another one\n")


def test_predict_checks_the_number_of_threads(capsys, text_file, tmp_path):
    run(capsys, "fit", text_file, "--model", tmp_path / "m", "--quiet", "--epochs", 1)
    status, _, err = run(capsys, "predict", tmp_path / "m", text_file, "--json", "--threads", "-5")
    assert (status, err) == (2, "fastadagrad: --threads must be a whole number of at least 0, not -5\n")


@pytest.mark.parametrize("value", ["nan", "NA", ""])
def test_a_missing_value_of_text_is_left_out(capsys, tmp_path, value):
    (tmp_path / "gap.svm").write_text(f"1 1:{value} 2:1\n0 1:1\n")
    for how in ("--stream", "--no-stream"):
        status, _, err = run(capsys, "fit", tmp_path / "gap.svm", how)
        assert status == 2
        assert "leave a missing value out, for which 0 then stands" in err


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_table_of_another_name_is_told_in_a_few_words(capsys, tmp_path, separator):
    (tmp_path / "d.txt").write_text(separator.join("aby") + "\n" + separator.join("120") + "\n")
    status, _, err = run(capsys, "fit", tmp_path / "d.txt")
    assert status == 2
    assert err.rstrip().endswith(
        "(say which column of its first line has the labels: target, --target COLUMN), not like svmlight text"
    )
    assert len(err.split()) < 35


@pytest.mark.parametrize("labels", ["123", "pqr"])
def test_predictions_are_made_where_labels_are_missing(capsys, tmp_path, labels):
    path, later, model = tmp_path / "d.csv", tmp_path / "later.csv", tmp_path / "m"
    path.write_text("a,y\n" + "".join(f"{i},{labels[i % 3]}\n" for i in range(60)))
    run(capsys, "fit", path, "--target", "y", "--model", model, "--quiet", "--loss", "auto")
    expected = run(capsys, "predict", model, path, "--quiet")[1].splitlines()[:3]
    for third, evaluated in (("", "1 of 3 labels are of no class of the training"), (labels[2], "accuracy")):
        later.write_text(f"a,y\n0,{labels[0]}\n1,{labels[1]}\n2,{third}\n")
        status, out, err = run(capsys, "predict", model, later)
        assert (status, out.splitlines()) == (0, expected)
        assert evaluated in err
    later.write_text("a,y\n0,\n1,\n2,\n")
    assert run(capsys, "predict", model, later) == (0, "\n".join(expected) + "\n", "")
