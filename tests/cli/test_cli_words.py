"""What the command line says: usage, help, hints, tables, and nothing where nothing was asked for."""

import io
import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from command_line import run

from fastadagrad import cli
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel
from fastadagrad.linear.splits import split
from fastadagrad.linear.targets import Targets


class Terminal(io.StringIO):
    def isatty(self):
        return True


def parser_of(command):
    [subparsers] = [action for action in cli._make_parser()._actions if action.dest == "command"]
    return subparsers.choices[command]


def left(capsys, *arguments):
    """What a command that ends the process prints; its status is 2."""
    with pytest.raises(SystemExit) as leaving:
        run(capsys, *arguments)
    assert leaving.value.code == 2
    return capsys.readouterr()


# C1


@pytest.mark.parametrize("seed", [None, 3])
def test_scores_are_of_the_rows_trained_on_and_of_the_rest(capsys, text_file, seed):
    options = ["--valid", 0.25, "--epochs", 3, *([] if seed is None else ["--seed", seed])]
    report = json.loads(run(capsys, "fit", text_file, *options, "--json")[1])
    table = load(text_file, dtype=None)
    model = LinearModel(max_epochs=3, seed=seed or 0).fit(table, valid=0.25)
    train, held_out = split(table, 0.25, seed or 0, Targets("logistic", model.classes_))
    assert (len(train.labels), len(held_out.labels)) == (150, 50)
    assert report["train"] == model.evaluate(train) != model.evaluate(table)
    assert report["valid"] == model.evaluate(held_out)
    kept = report["history"][report["best_epoch"] - 1]
    assert report["valid"]["loss"] == pytest.approx(kept["valid_loss"], rel=1e-5)  # float32 while training
    assert report["valid"]["accuracy"] == kept["valid_accuracy"]
    out = run(capsys, "fit", text_file, *options)[1].splitlines()
    assert [line.partition(":")[0] for line in out[-2:]] == ["train", "valid"]


def test_scores_of_hashed_rows_are_those_of_the_training(capsys, text_file):
    options = ["--valid", 0.25, "--epochs", 2, "--hash-bits", 6]
    report = json.loads(run(capsys, "fit", text_file, *options, "--json")[1])
    kept = report["history"][report["best_epoch"] - 1]
    assert report["valid"]["loss"] == pytest.approx(kept["valid_loss"], rel=1e-5)
    assert report["train"]["accuracy"] > 0.8


def test_scores_of_a_file_for_validation(capsys, text_file):
    report = json.loads(run(capsys, "fit", text_file, "--valid", text_file, "--epochs", 2, "--json")[1])
    assert report["valid"] == report["train"]
    assert "valid" not in json.loads(run(capsys, "fit", text_file, "--epochs", 2, "--json")[1])


def test_what_was_said_of_the_split_is_not_said_again(capsys, tmp_path):
    path = tmp_path / "rare.svm"
    path.write_text("".join(f"{k if k < 4 else 0} 1:{k}\n" for k in range(40)))
    err = run(capsys, "fit", path, "--valid", 0.2, "--epochs", 1)[2]
    assert err.count("too few examples to be validated on") == 1


# C9


def history(losses):
    return [{"epoch": float(i), "loss": 1.0, "valid_loss": loss} for i, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("kept", "epochs", "rows"),
    [
        (11, 17, [*map(str, range(1, 11)), "17", "11*"]),
        (20, 20, [*map(str, range(1, 11)), "20"]),
        (3, 4, ["1", "2", "3", "4", "3*"]),
        (14, 14, [*map(str, range(1, 11)), "14"]),
        (0, 0, []),
    ],
)
def test_the_kept_and_the_last_epoch_have_rows(capsys, kept, epochs, rows):
    from fastadagrad.cli.fit_report import EpochRows
    from fastadagrad.cli.screen import Screen

    show = EpochRows(Screen(patient=False))
    entries = history([0.5] * epochs)
    for entry in entries:
        show(entry)
    show.finish(entries, kept)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == rows


def test_the_kept_epoch_is_marked(capsys, tmp_path):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 30))
    np.savez(tmp_path / "hard.npz", X=X, y=(X[:, 0] + 2 * rng.normal(size=60) > 0).astype(int))
    status, out, _ = run(capsys, "fit", tmp_path / "hard.npz", "--valid", 0.4)
    assert status == 0
    kept, epochs = re.search(r"epoch (\d+) of (\d+) kept", out).groups()
    assert int(kept) < int(epochs)
    rows = [line.split()[0] for line in out.splitlines() if re.match(r" *\d+\*? ", line)]
    assert rows[-2:] == [epochs, f"{kept}*"]


# C8, C16, C17


def test_a_bar_that_cannot_be_drawn_is_refused_before_training(capsys, text_file, tmp_path, monkeypatch):
    monkeypatch.setattr(LinearModel, "fit", lambda *rest, **options: pytest.fail("it has trained"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    expected = 'fastadagrad: --progress needs tqdm: pip install "fastadagrad[fit]"\n'
    assert run(capsys, "fit", text_file, "--progress") == (2, "", expected)
    compare = ["compare", "rosenbrock", "--quick", "--progress", "--out", tmp_path / "out"]
    assert run(capsys, *compare) == (2, "", expected)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_for_terminals(capsys, text_file, monkeypatch, terminal):
    pytest.importorskip("tqdm", reason="needs the extra fit")
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    status, out, _ = run(capsys, "fit", text_file, "--progress", "--epochs", 3)
    assert status == 0
    assert ("\r" in stream.getvalue()) == terminal
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["epoch", "1", "2", "3"]


def test_quiet_says_nothing(capsys, text_file, tmp_path):
    model = tmp_path / "m"
    assert run(capsys, "fit", text_file, "--epochs", 2, "--quiet", "--model", model, "--valid", 0.2) == (0, "", "")
    assert LinearModel.load(model).history
    assert json.loads(run(capsys, "fit", text_file, "--epochs", 2, "--quiet", "--json")[1])["epochs"] == 2
    status, out, err = run(capsys, "predict", model, text_file, "--quiet")
    assert (status, len(out.splitlines()), err) == (0, 200, "")


# C14, C15, C19, C20


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (["fti", "digits"], "invalid choice: 'fti'.*: did you mean 'fit'?"),
        (["fit", "iris", "--loss", "logistc"], "invalid choice: 'logistc'.*: did you mean 'logistic'?"),
        (["fit", "iris", "--epochs", "many"], "invalid int value: 'many'"),
        (["fit"], "the following arguments are required: SOURCE"),
        (["predict", "m"], "the following arguments are required: SOURCE"),
    ],
)
def test_an_error_of_usage_is_the_second_line(capsys, arguments, last):
    out, err = left(capsys, *arguments)
    usage, error = err.splitlines()
    assert out == ""
    assert usage.startswith("usage: fastadagrad ")
    assert re.search(last.replace("?", r"\?"), error)


def test_without_a_command_there_is_the_whole_help(capsys):
    err = left(capsys).err
    assert all(re.search(rf"^ +{command} +\w", err, re.M) for command in cli.COMMANDS)
    assert "fastadagrad COMMAND --help" in err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_option_has_help_and_every_page_examples(command):
    parser = parser_of(command)
    assert [action.option_strings for action in parser._actions if not action.help] == []
    page = parser.format_help()
    assert page.splitlines()[0] == f"usage: fastadagrad {command} {parser.usage.split(' ', 2)[2]}"
    examples = re.findall(r"^  fastadagrad (.+)$", page.partition("examples:")[2], re.M)
    assert len(examples) >= 2
    for example in examples:
        assert cli._make_parser().parse_args(example.split()).command == command


def test_defaults_that_help_tells_are_those_of_the_model():
    defaults = LinearModel.__init__.__kwdefaults__
    told = {action.dest: re.search(r"\(([^()]*)\)$", action.help or "") for action in parser_of("fit")._actions}
    compared = 0
    for name, default in defaults.items():
        if isinstance(default, int | float | str) and not isinstance(default, bool) and told.get(name):
            said = told[name][1].partition(":")[0]
            assert said == (default if isinstance(default, str) else f"{default:g}"), name
            compared += 1
    assert compared >= 14


# C18


def test_probabilities_have_a_line_of_labels(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 3)) + 4 * np.eye(3)[np.arange(60) % 3]
    np.savez(tmp_path / "d.npz", X=X, y=np.array(["dog", "a\tcat", "two\nlines"])[np.arange(60) % 3])
    model, source = tmp_path / "m", tmp_path / "d.npz"
    run(capsys, "fit", source, "--epochs", 2, "--model", model)
    header, *rows = run(capsys, "predict", model, source, "--proba", "--quiet")[1].splitlines()
    assert header == "a\\tcat\tdog\ttwo\\nlines"
    found = np.array([row.split("\t") for row in rows], float)
    np.testing.assert_array_equal(found, LinearModel.load(model).predict_proba(X))
    assert run(capsys, "predict", model, source, "--proba", "--quiet", "--no-header")[1].splitlines() == rows


def test_the_line_of_labels_is_of_those_in_the_file(capsys, text_file, tmp_path):
    run(capsys, "fit", text_file, "--epochs", 1, "--model", tmp_path / "m")
    out = run(capsys, "predict", tmp_path / "m", text_file, "--proba", "--quiet")[1]
    assert out.splitlines()[0] == "-1\t1"


# C24


@pytest.mark.parametrize("module", ["numpy", "fastadagrad.engine.registry"])
def test_ctrl_c_while_modules_are_loaded(module):
    script = f"""
        import sys

        class Interrupting:
            def find_spec(self, name, *rest):
                if name == {module!r}:
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Interrupting())
        from fastadagrad.cli import main
        sys.exit(main(["fit", "iris"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "fastadagrad: interrupted\n")


# C25


def test_numpy_reads_a_model_by_the_names_of_its_arrays(capsys, text_file, tmp_path):
    path = tmp_path / "m.npz"
    run(capsys, "fit", text_file, "--epochs", 1, "--model", path)
    model = LinearModel.load(path)
    with np.load(path) as archive:
        np.testing.assert_array_equal(archive["coef"], model.coef_)
        np.testing.assert_array_equal(archive["intercept"], model.intercept_)
        np.testing.assert_array_equal(archive["classes"], model.classes_)


# C26


def test_many_classes_are_warned_of(capsys, tmp_path):
    X = np.random.default_rng(0).normal(size=(101, 2))
    np.savez(tmp_path / "d.npz", X=X, y=np.arange(101))
    err = run(capsys, "fit", tmp_path / "d.npz", "--loss", "softmax", "--epochs", 1, "--quiet")[2]
    assert "101 different labels, each a class of its own: for numbers, use --loss squared" in err
    np.savez(tmp_path / "d.npz", X=X[:100], y=np.arange(100))
    assert run(capsys, "fit", tmp_path / "d.npz", "--loss", "softmax", "--epochs", 1, "--quiet")[2] == ""
