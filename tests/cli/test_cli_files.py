"""What the command line reads and writes: paths, pipes, encodings, labels; and that nothing loses a trained model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from command_line import run

from fastadagrad.linear import LinearModel
from fastadagrad.support import figures

COMMAND = [sys.executable, "-m", "fastadagrad"]


def svmlight_of(labels, rng=None):
    rng = rng or np.random.default_rng(0)
    return "".join(
        f"{y} " + " ".join(f"{j}:{rng.normal() + 2 * (j == y):.3f}" for j in (1, 2, 3)) + "\n" for y in labels
    )


@pytest.fixture
def three(tmp_path):
    """Three classes, and a test file with one more."""
    (tmp_path / "train").write_text(svmlight_of([1, 2, 3] * 20))
    (tmp_path / "test").write_text(svmlight_of([1, 2, 3] * 4 + [4]))
    return tmp_path


def process(folder, *arguments, environment=None, **more):
    env = {**os.environ, **(environment or {})}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, **more)


def test_a_class_that_training_lacked_is_a_miss_and_told(capsys, three):
    model = three / "m"
    options = ["--epochs", 3, "--model", model, "--test", three / "test", "--valid", three / "test"]
    status, out, err = run(capsys, "fit", three / "train", *options)
    assert status == 0
    assert "unknown labels 1" in next(line for line in out.splitlines() if line.startswith("test:"))
    assert "1 of 13 labels are of no class of the training, 4.0 in row 12 the first" in err
    report = json.loads(run(capsys, "fit", three / "train", *options, "--json")[1])
    assert report["test"]["unknown_labels"] == 1
    assert report["test"]["accuracy"] <= 12 / 13
    assert report["history"][0]["valid_unknown_labels"] == 1
    assert "unknown_labels" not in report["train"]

    status, out, err = run(capsys, "predict", model, three / "test")
    assert (status, len(out.split())) == (0, 13)
    assert f"accuracy {report['test']['accuracy']:.5g}, unknown labels 1" in err
    assert json.loads(run(capsys, "predict", model, three / "test", "--json")[1])["evaluation"] == report["test"]
    assert "4.0 in row 12" in run(capsys, "predict", model, three / "test", "--quiet")[2]


def test_predictions_that_cannot_be_evaluated(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "numbers.npz", X=X, y=X[:, 0])
    np.savez(tmp_path / "words.npz", X=X, y=np.where(X[:, 0] > 0, "a", "b"))
    run(capsys, "fit", tmp_path / "numbers.npz", "--epochs", 1, "--model", tmp_path / "m")
    status, out, err = run(capsys, "predict", tmp_path / "m", tmp_path / "words.npz", "--quiet")
    assert (status, len(out.split())) == (0, 40)
    assert "the predictions are not evaluated: y has the string 'a' at row 0, and squared loss needs numbers" in err
    found = json.loads(run(capsys, "predict", tmp_path / "m", tmp_path / "words.npz", "--json")[1])
    assert found["evaluation"] is None
    assert "squared loss needs numbers" in found["not_evaluated"]


def test_a_test_file_that_cannot_be_judged_leaves_the_model(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "numbers.npz", X=X, y=X[:, 0])
    np.savez(tmp_path / "words.npz", X=X, y=np.where(X[:, 0] > 0, "a", "b"))
    options = ["--epochs", 1, "--model", tmp_path / "m", "--test", tmp_path / "words.npz"]
    status, out, err = run(capsys, "fit", tmp_path / "numbers.npz", *options)
    assert status == 2
    assert "squared loss needs numbers as labels" in err
    assert f"model written to {tmp_path / 'm'}" in out
    assert "train: loss" in out
    assert LinearModel.load(tmp_path / "m").history


@pytest.mark.parametrize("kind", ["missing", "broken", "names"])
@pytest.mark.parametrize("option", ["--test", "--valid"])
def test_other_files_are_read_before_training(capsys, tmp_path, monkeypatch, option, kind):
    monkeypatch.setattr(LinearModel, "fit", lambda *rest, **options: pytest.fail("it has trained"))
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "train.npz", X=X, y=X[:, 0] > 0, feature_names=["a", "b"])
    np.savez(tmp_path / "names.npz", X=X, y=X[:, 0] > 0, feature_names=["b", "a"])
    (tmp_path / "broken.npz").write_text("no such thing")
    status, _, err = run(capsys, "fit", tmp_path / "train.npz", option, tmp_path / f"{kind}.npz")
    assert status == 2
    assert f"{kind}.npz" in err


@pytest.mark.parametrize("part", ["plot", "evaluation", "both"])
def test_what_fails_after_training_leaves_the_model(capsys, text_file, tmp_path, monkeypatch, part):
    pytest.importorskip("matplotlib")

    def fail(*rest):
        raise RuntimeError("no ink")

    if part != "evaluation":
        monkeypatch.setattr(figures, "drawing", fail)
    if part != "plot":
        monkeypatch.setattr(LinearModel, "evaluate", lambda *rest: 1 / 0)
    options = ["--epochs", 2, "--model", tmp_path / "m", "--plot", tmp_path / "a.png"]
    status, out, err = run(capsys, "fit", text_file, *options)
    assert status == 2
    assert f"model written to {tmp_path / 'm'}" in out
    assert ("no ink" in err, "division by zero" in err) == (part != "evaluation", part != "plot")
    assert len(LinearModel.load(tmp_path / "m").history) == 2


def test_if_the_model_cannot_be_written_the_rest_is(capsys, text_file, tmp_path, monkeypatch):
    def fail(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(LinearModel, "save", fail)
    options = ["--epochs", 2, "--model", tmp_path / "m", "--plot", tmp_path / "a.png"]
    status, out, err = run(capsys, "fit", text_file, *options)
    assert status == 2
    assert err.splitlines()[-1] == f"fastadagrad: {tmp_path / 'm'}: No space left on device"
    assert "train: loss" in out
    assert (tmp_path / "a.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell of its kind")
@pytest.mark.parametrize("output", ["| true", "> /dev/full", ">&-"])
def test_a_standard_output_that_fails_leaves_the_model(text_file, tmp_path, output):
    if "full" in output and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    shell = 'python=$1; shift; "$python" -m fastadagrad "$@" ' + output
    arguments = ["fit", text_file, "--epochs", "3", "--model", "m", "--test", text_file]
    command = ["bash", "-o", "pipefail", "-c", shell, "bash", sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert len(LinearModel.load(tmp_path / "m").history) == 3
    assert done.returncode == (0 if output == ">&-" else 2)
    assert ("No space left" in done.stderr) == ("full" in output)


@pytest.mark.parametrize("command", ["fit", "predict"])
@pytest.mark.parametrize("path", ["folder", "no/file", "", "file/x", "/proc/file"])
def test_paths_are_refused_before_the_work(capsys, text_file, tmp_path, monkeypatch, command, path):
    if path.startswith("/proc") and not os.path.isdir("/proc/self"):
        pytest.skip("there is no /proc on this system")
    run(capsys, "fit", text_file, "--epochs", 1, "--model", tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastadagrad.data.loading.load", lambda *rest, **options: pytest.fail("it has begun"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    arguments = (
        ["fit", text_file, "--model", path] if command == "fit" else ["predict", "m", text_file, "--output", path]
    )
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"fastadagrad: {path + ': ' if path else ''}")
    assert ".tmp" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "train", "--model", "train"], "--model train is the file of SOURCE"),
        (["fit", "train", "--model", "./train"], "--model ./train is the file of SOURCE"),
        (["fit", "train", "--model", "test", "--test", "test"], "--model test is the file of --test"),
        (["fit", "train", "--model", "link"], "--model link is the file of SOURCE"),
        (["fit", "train", "--model", "a.png", "--plot", "a.png"], "--plot a.png is the file of --model"),
        (["predict", "m", "train", "--output", "m"], "--output m is the file of MODEL"),
        (["predict", "m", "train", "--output", "train"], "--output train is the file of SOURCE"),
        (["fit", "train", "--model", "-"], "--model must be a file"),
        (["fit", "train", "--plot", "-"], "--plot must be a file"),
        (["fit", "-", "--test", "-"], "standard input can be read once, but - is given 2 times"),
    ],
)
def test_a_file_is_not_read_and_written_at_once(capsys, three, monkeypatch, arguments, message):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(three)
    (three / "m").write_bytes(b"model")
    (three / "link").symlink_to("train")
    before = {path.name: path.read_bytes() for path in three.iterdir()}
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert message in err
    assert {path.name: path.read_bytes() for path in three.iterdir()} == before


def test_dev_null_takes_all_and_stays(capsys, three):
    if not os.path.exists("/dev/null"):
        pytest.skip("needs /dev/null")
    before = os.stat("/dev/null")
    options = ["--epochs", 1, "--model", "/dev/null", "--test", "/dev/null"]
    assert "has no rows" in run(capsys, "fit", three / "train", *options)[2]
    status, out, _ = run(capsys, "fit", three / "train", *options[:-2])
    assert status == 0
    assert "model written to /dev/null" in out
    assert (os.stat("/dev/null").st_ino, os.stat("/dev/null").st_mode) == (before.st_ino, before.st_mode)


def test_predictions_go_to_standard_output_by_any_name(three):
    process(three, "fit", "train", "--epochs", 1, "--model", "m")
    expected = process(three, "predict", "m", "train", "--quiet").stdout
    assert len(expected.split()) == 60
    names = ["-", "/dev/stdout"] if os.path.exists("/dev/stdout") else ["-"]
    for name in names:
        assert process(three, "predict", "m", "train", "--quiet", "--output", name).stdout == expected
    assert not (three / "-").exists()


def test_examples_from_standard_input(three):
    train = (three / "train").read_bytes()
    expected = json.loads(process(three, "fit", "train", "--epochs", 2, "--json", "--model", "m").stdout)
    found = json.loads(process(three, "fit", "-", "--epochs", 2, "--json", "--test", "test", input=train).stdout)
    assert (found["source"], found["train"]) == ("standard input", expected["train"])
    done = process(three, "predict", "m", "-", input=train)
    assert done.stdout == process(three, "predict", "m", "train").stdout
    assert f"accuracy {expected['train']['accuracy']:.5g}".encode() in done.stderr
    unlabelled = b"".join(line.split(b" ", 1)[1] for line in train.splitlines(keepends=True))
    without = process(three, "predict", "m", "-", input=unlabelled)
    assert (without.stdout, without.stderr) == (done.stdout, b"")
    assert json.loads(process(three, "predict", "m", "-", "--json", input=unlabelled).stdout)["evaluation"] is None
    assert b"'1:" in process(three, "fit", "-", input=unlabelled).stderr


LABELS = ["chien", "猫", "é", "\U0001f600"]


@pytest.fixture
def words(tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 4)) + 5 * np.eye(4)[np.arange(80) % 4]
    np.savez(tmp_path / "数据é.npz", X=X, y=np.array(LABELS)[np.arange(80) % 4])
    return tmp_path


@pytest.mark.skipif(sys.getfilesystemencoding() != "utf-8", reason="names of files could not be written down")
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "ascii:surrogateescape"])
def test_what_the_encoding_of_standard_output_lacks(words, encoding):
    environment, codec = {"PYTHONIOENCODING": encoding}, encoding.partition(":")[0]
    fit = ["fit", "数据é.npz", "--epochs", "4", "--model", "m"]
    done = process(words, *fit, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(codec).startswith("数据é.npz".encode(codec, "backslashreplace").decode(codec))
    report = json.loads(process(words, *fit, "--json", environment=environment).stdout.decode(codec))
    assert (report["source"], report["classes"]) == ("数据é.npz", sorted(LABELS))

    predict = ["predict", "m", "数据é.npz", "--quiet"]
    expected = LinearModel.load(words / "m").predict(np.load(words / "数据é.npz")["X"]).tolist()
    assert set(expected) == set(LABELS)
    done = process(words, *predict, environment=environment)
    lines = done.stdout.decode(codec).splitlines()
    assert lines == [label.encode(codec, "backslashreplace").decode(codec) for label in expected]
    lacking = sum(label.encode(codec, "backslashreplace") != label.encode(codec, "ignore") for label in LABELS)
    if lacking:
        assert f"the encoding of standard output, {codec}, lacks characters of {lacking} labels".encode() in done.stderr
        assert b"--output FILE is in UTF-8" in done.stderr
    else:
        assert done.stderr == b""
    found = json.loads(process(words, *predict, "--json", environment=environment).stdout.decode(codec))
    assert found["predictions"] == expected
    assert process(words, *predict, "--output", "out", environment=environment).stderr == b""
    assert (words / "out").read_text(encoding="utf-8").splitlines() == expected


def test_a_label_stays_in_its_line(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "d.npz", X=X, y=np.where(X[:, 0] > 0, "two\nlines", "one\r"))
    model, source = tmp_path / "m", tmp_path / "d.npz"
    run(capsys, "fit", source, "--model", model, "--epochs", 2)
    _, out, err = run(capsys, "predict", model, source, "--quiet")
    assert len(out.splitlines()) == 40
    assert set(out.splitlines()) == {r"two\nlines", r"one\r"}
    assert r"2 labels have line breaks: they are written as \n or \r" in err
    found = json.loads(run(capsys, "predict", model, source, "--json")[1])
    assert set(found["predictions"]) == {"two\nlines", "one\r"}


def test_labels_of_bytes_are_printed_as_text(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 2))
    np.savez(tmp_path / "d.npz", X=X, y=np.where(X[:, 0] > 0, b"spam", b"ham"))
    model, source = tmp_path / "m", tmp_path / "d.npz"
    report = json.loads(run(capsys, "fit", source, "--model", model, "--epochs", 2, "--json")[1])
    assert report["classes"] == ["ham", "spam"]
    assert set(run(capsys, "predict", model, source, "--quiet")[1].split()) == {"spam", "ham"}
    assert json.loads(run(capsys, "predict", model, source, "--json")[1])["classes"] == ["ham", "spam"]


def test_a_guess_where_columns_begin_is_told(capsys, tmp_path):
    """Arrays know of no first column; text that lacks one, and the last, does not tell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)) * [0, 1, 1, 1, 1]
    y = (X @ [0, 2, -1, 3, -2] > 0).astype(int)
    text = "".join(
        f"{label} " + " ".join(f"{j}:{x}" for j, x in enumerate(row) if x) + "\n"
        for row, label in zip(X, y, strict=True)
    )
    (tmp_path / "test").write_text(text)
    np.savez(tmp_path / "train.npz", X=X, y=y)
    model, test = tmp_path / "m", tmp_path / "test"
    for option in ("--test", "--valid"):
        err = run(capsys, "fit", tmp_path / "train.npz", "--model", model, "--epochs", 3, option, test)[2]
        assert "test is taken to have columns that count from 1, as it has no column 0" in err
    assert "--zero-based true or false" in run(capsys, "predict", model, test)[2]
    for base, right in (("true", True), ("false", False)):
        _, out, err = run(capsys, "predict", model, test, "--json", "--zero-based", base)
        assert (json.loads(out)["evaluation"]["accuracy"] > 0.9) == right
        assert "taken to have" not in err


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("--epoch", "did you mean --epochs?"),
        ("--learning-rat", "did you mean --learning-rate?"),
        ("--learning_rate", "did you mean --learning-rate?"),
        ("--lr", "did you mean --learning-rate?"),
        ("--zzz", None),
    ],
)
def test_options_are_not_guessed(capsys, option, meant):
    with pytest.raises(SystemExit) as leaving:
        run(capsys, "fit", "iris", option, "3")
    assert leaving.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"unrecognized arguments: {option} 3" in last
    assert last.endswith(meant) if meant else "did you mean" not in last
