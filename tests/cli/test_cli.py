import inspect
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from command_line import run

from fastadagrad import __version__, cli
from fastadagrad.data.loading import load
from fastadagrad.linear import LinearModel


def test_fit_prints_a_table(capsys, text_file):
    status, out, _ = run(capsys, "fit", text_file, "--valid", "0.25", "--epochs", "3", "--test", text_file)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "train.svm: 200 examples, 5 of 5 features each"
    assert lines[1].split() == ["epoch", "progressive", "valid", "loss", "accuracy"]
    assert [line.split()[0] for line in lines[2:5]] == ["1", "2", "3"]
    assert lines[5].startswith("logistic loss, learning rate ")
    text = r"the validation loss was still falling, by (.+)% in the last of 3 epochs: --epochs 6 may help"
    fallen = re.fullmatch(text, lines[6])
    before, last = (float(line.split()[2]) for line in lines[3:5])
    assert float(fallen[1]) == pytest.approx(100 * (1 - last / before), abs=0.1)
    assert lines[7].startswith("train: loss ")
    assert lines[8].startswith("valid: loss ")
    assert lines[9].startswith("test: loss ")


def test_fit_as_json_and_what_the_model_does(capsys, text_file, tmp_path):
    model = tmp_path / "model"
    options = ["--l2", "0.001", "--seed", "7", "--epochs", "4", "--batch-size", "2", "--loss", "logistic"]
    status, out, _ = run(capsys, "fit", text_file, "--json", "--model", model, *options)
    report = json.loads(out)
    assert status == 0
    assert (report["loss"], report["examples"], report["features"], report["epochs"]) == ("logistic", 200, 5, 4)
    assert report["classes"] == [-1, 1]
    expected = LinearModel("logistic", l2=0.001, seed=7, max_epochs=4, batch_size=2).fit(load(text_file, dtype=None))
    assert report["history"] == expected.history
    loaded = LinearModel.load(model)
    np.testing.assert_array_equal(loaded.coef_, expected.coef_)

    status, out, err = run(capsys, "predict", model, text_file)
    assert status == 0
    assert [float(line) for line in out.split()] == expected.predict(load(text_file, dtype=None)).tolist()
    assert "accuracy" in err
    status, out, _ = run(capsys, "predict", model, text_file, "--json", "--proba")
    found = json.loads(out)
    assert found["evaluation"] == expected.evaluate(load(text_file, dtype=np.float64))
    np.testing.assert_array_equal(found["probabilities"], expected.predict_proba(load(text_file, dtype=np.float64)))
    output = tmp_path / "out"
    status, out, _ = run(capsys, "predict", model, text_file, "--proba", "--output", output, "--quiet")
    assert (status, out) == (0, "")
    np.testing.assert_array_equal(np.loadtxt(output, delimiter="\t", skiprows=1), found["probabilities"])


def test_fit_finds_a_learning_rate(capsys, text_file):
    status, out, err = run(capsys, "fit", text_file, "--learning-rate", "auto", "--epochs", 3)
    expected = LinearModel(learning_rate="auto", max_epochs=3).fit(load(text_file, dtype=None)).learning_rate_
    assert status == 0
    assert f"logistic loss, learning rate {expected:.3g}, epoch 3 of 3 kept" in out
    assert f"learning rate {expected:.3g}, by " in err
    out = run(capsys, "fit", text_file, "--learning-rate", "auto", "--epochs", 3, "--json")[1]
    assert json.loads(out)["learning_rate"] == expected
    assert json.loads(run(capsys, "fit", text_file, "--epochs", 3, "--json")[1])["learning_rate"] == expected
    for options in (["--method", "sgd"], ["--learning-rate", 0.1]):
        report = json.loads(run(capsys, "fit", text_file, "--epochs", 1, "--json", *options)[1])
        assert report["learning_rate"] == 0.1


def test_fit_draws_its_epochs(capsys, text_file, tmp_path):
    figure = tmp_path / "losses.svg"
    options = ["--valid", "0.25", "--epochs", 4, "--plot", figure]
    status, out, _ = run(capsys, "fit", text_file, *options)
    assert status == 0
    assert out.splitlines()[-1] == f"plot written to {figure}"
    assert figure.read_text().startswith("<?xml")
    report = json.loads(run(capsys, "fit", text_file, *options, "--json")[1])
    assert (report["plot"], report["epochs"]) == (str(figure), 4)


def test_fit_refuses_a_figure_before_it_trains(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(LinearModel, "fit", lambda *rest, **options: pytest.fail("it has trained"))
    for name, message in (("a.gif", "must end in .png, .svg or .pdf"), ("no/a.png", "No such file or directory")):
        status, _, err = run(capsys, "fit", "iris", "--plot", tmp_path / name)
        assert status == 2
        assert message in err.splitlines()[-1]


@pytest.mark.parametrize("options", [[], ["--proba"], ["--json"], ["--json", "--proba"]])
def test_predict_scores_once(capsys, text_file, tmp_path, monkeypatch, options):
    run(capsys, "fit", text_file, "--epochs", 1, "--model", tmp_path / "m")
    calls, score = [], LinearModel.decision_function
    monkeypatch.setattr(LinearModel, "decision_function", lambda self, X: (calls.append(X), score(self, X))[1])
    assert run(capsys, "predict", tmp_path / "m", text_file, *options)[0] == 0
    assert len(calls) == 1


def test_every_option_reaches_the_model(capsys, text_file, monkeypatch):
    given = {}

    class Spy(LinearModel):
        def __init__(self, *args, **options):
            given.update(options)
            super().__init__(*args, **options)

    monkeypatch.setattr("fastadagrad.linear.LinearModel", Spy)
    numbers = {
        "learning_rate": 0.2,
        "momentum": 0.5,
        "weight_decay": 0.01,
        "rms_regularizer": 1e-6,
        "batch_size": 3,
        "patience": 2,
        "min_improvement": 0.01,
        "seed": 5,
    }
    flags = [part for name, value in numbers.items() for part in (f"--{name.replace('_', '-')}", value)]
    choices = ["--loss", "squared", "--scale", "none", "--dtype", "float64", "--lazy", "touched"]
    switches = ["--nesterov", "--no-shuffle", "--no-intercept", "--epochs", 2, "--progress", "--quiet"]
    switches += ["--average", 2, "--no-implicit"]
    status, _, err = run(capsys, "fit", text_file, *flags, *choices, *switches)
    assert status == 0, err
    chosen = {"loss": "squared", "scale": "none", "dtype": "float64", "lazy": "touched"}
    switched = {"nesterov": True, "shuffle": False, "intercept": False, "max_epochs": 2}
    switched |= {"average": 2, "implicit": False}
    assert given == {**numbers, **chosen, **switched}


def test_every_keyword_of_the_model_is_an_option(capsys):
    with pytest.raises(SystemExit):
        cli.main(["fit", "--help"])
    text = capsys.readouterr().out
    others = {"max_epochs": "--epochs", "validation": "--valid", "warm_start": "--resume"}
    switched_off = {"shuffle": "--no-shuffle", "intercept": "--no-intercept"}
    for name in inspect.signature(LinearModel).parameters:
        if name != "own":
            option = {**others, **switched_off}.get(name, f"--{name.replace('_', '-')}")
            assert re.search(rf"^  {option}\b", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--average", "auto"], {}),
        (["--average", "no"], {"average": False}),
        (["--average", "yes"], {"average": True}),
        (["--average", "2"], {"average": 2}),
        (["--implicit"], {}),
        (["--implicit", "--method", "sgd"], {"implicit": True, "method": "sgd"}),
        (["--no-implicit"], {"implicit": False}),
    ],
)
def test_averages_and_implicit_steps_are_those_of_the_model(capsys, text_file, tmp_path, words, options):
    options = {"learning_rate": 0.3, "max_epochs": 3, **options}
    status, _, err = run(
        capsys, "fit", text_file, *words, "--learning-rate", 0.3, "--epochs", 3, "--model", tmp_path / "m"
    )
    assert status == 0, err
    expected = LinearModel(**options).fit(load(text_file, dtype=None))
    np.testing.assert_array_equal(LinearModel.load(tmp_path / "m").coef_, expected.coef_)


@pytest.mark.parametrize("word", ["0", "-1", "1.5", "maybe", "", "True"])
def test_an_average_of_nothing_is_refused(capsys, word):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["fit", "iris", f"--average={word}"])
    assert leaving.value.code == 2
    assert f"must be auto, yes, no or a number of epochs, not {word!r}" in capsys.readouterr().err


def test_test_file_may_lack_or_have_more_features(capsys, text_file, tmp_path):
    for line in ("+1 1:1\n", "-1 9:1\n"):
        other = tmp_path / "other.svm"
        other.write_text(line)
        status, out, err = run(capsys, "fit", text_file, "--epochs", 1, "--test", other, "--valid", other)
        assert status == 0, err
        assert "test: loss" in out


def columns_from_0(path, lacking=()):
    """Svmlight text whose columns 0 to 5 decide by their number; some columns may be absent."""
    rng = np.random.default_rng(len(lacking))
    rows = rng.normal(size=(300, 6)).round(3)
    rows[:, list(lacking)] = 0
    labels = rows @ [0, 3, -2, 1, -1, 2] > 0
    path.write_text(
        "".join(
            f"{label:d} " + " ".join(f"{j}:{x}" for j, x in enumerate(row) if j not in lacking) + "\n"
            for label, row in zip(labels, rows, strict=True)
        )
    )
    return path


def test_columns_count_from_where_they_do_in_the_training_file(capsys, tmp_path):
    train, other = columns_from_0(tmp_path / "train"), columns_from_0(tmp_path / "other", lacking=[0])
    model = tmp_path / "model"
    status, out, _ = run(capsys, "fit", train, "--json", "--test", other, "--valid", other, "--model", model)
    report = json.loads(out)
    assert status == 0
    assert report["test"]["accuracy"] > 0.95
    assert report["history"][-1]["valid_accuracy"] > 0.95
    assert LinearModel.load(model).zero_based is True
    found = json.loads(run(capsys, "predict", model, other, "--json")[1])
    assert found["evaluation"]["accuracy"] > 0.95
    shifted = json.loads(run(capsys, "predict", model, other, "--json", "--zero-based", "false")[1])
    assert shifted["evaluation"]["accuracy"] < 0.8


def test_files_are_scaled_before_they_are_rounded(capsys, tmp_path):
    z = np.random.default_rng(0).normal(size=400)
    np.savez(tmp_path / "far.npz", X=(1.6e9 + 10 * z)[:, None], y=z > 0)
    far = tmp_path / "far.npz"
    report = json.loads(run(capsys, "fit", far, "--json", "--test", far, "--valid", far)[1])
    assert report["train"]["accuracy"] > 0.95
    assert report["test"]["accuracy"] > 0.95
    assert report["history"][-1]["valid_accuracy"] > 0.95


def test_target_is_heeded_or_refused(capsys, text_file, tmp_path):
    X = np.random.default_rng(0).normal(size=(50, 5))
    np.savez(tmp_path / "data.npz", X=X, y=np.arange(50) % 2, label=np.where(X[:, 0] > 0, "a", "b"))
    upper, model = (tmp_path / "data.npz").rename(tmp_path / "data.NPZ"), tmp_path / "m"
    options = ["--target", "label", "--json"]
    report = json.loads(run(capsys, "fit", upper, *options, "--valid", upper, "--test", upper, "--model", model)[1])
    assert report["classes"] == ["a", "b"]
    assert report["test"]["accuracy"] > 0.9
    assert json.loads(run(capsys, "predict", model, upper, *options)[1])["evaluation"]["accuracy"] > 0.9
    for command in (["fit", text_file], ["fit", "iris"], ["predict", model, text_file]):
        status, _, err = run(capsys, *command, "--target", "label")
        assert status == 2
        assert "target names an array of a .npz file" in err


def test_where_columns_begin_can_be_said(capsys, tmp_path):
    train = columns_from_0(tmp_path / "train", lacking=[0])
    widths = {
        base: json.loads(run(capsys, "fit", train, "--json", "--epochs", 1, "--zero-based", base)[1])["features"]
        for base in ("true", "false", "auto")
    }
    assert widths == {"true": 6, "false": 5, "auto": 5}


def test_predict_with_no_label_that_the_model_knows(capsys, text_file, tmp_path):
    run(capsys, "fit", text_file, "--epochs", 1, "--model", tmp_path / "m")
    other = tmp_path / "other.svm"
    other.write_text("0 1:1\n")
    status, out, err = run(capsys, "predict", tmp_path / "m", other)
    assert (status, len(out.split())) == (0, 1)
    assert "0.0 in row 0 the first: they count as misses" in err
    assert "accuracy 0, unknown labels 1" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "irsi"], "irsi: No such file or directory.*did you mean 'iris'"),
        (["fit", "iris", "--learning-rate", "-1"], "--learning-rate must be finite and at least 0, not -1.0"),
        (["fit", "iris", "--valid", "2"], "--valid must be a file or a fraction between 0 and 1"),
        (["fit", "iris", "--loss", "hinge"], "y has 3 classes: hinge takes two"),
        (["fit", "iris", "--momentum", "0.5", "--l1", "1"], "l1 and l2 cannot be combined with momentum"),
        (["fit", "iris", "--implicit", "--batch-size", "8"], "--implicit is not possible: .* --batch-size 1"),
        (["fit", "iris", "--implicit", "--method", "adam"], "--implicit is not possible: .* --method adagrad or"),
        (["fit", "iris", "--epochs", "1", "--model", "no/such/folder"], "No such file or directory"),
        (["predict", "no-model", "iris"], "no-model: No such file or directory"),
        (["predict", __file__, "iris"], "not a whole fastadagrad linear model file"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    last = err.splitlines()[-1]
    assert re.search(message, last), last
    assert last.startswith("fastadagrad: ")
    assert "Traceback" not in err


def test_wrong_usage_exits_with_2(capsys):
    for arguments in ([], ["fly"], ["fit", "iris", "--epochs", "many"], ["fit", "iris", "--learning-rate", "x"]):
        with pytest.raises(SystemExit) as leaving:
            cli.main(arguments)
        assert leaving.value.code == 2
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out.endswith(f"fastadagrad {__version__}\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_ctrl_c_keeps_the_model(capsys, tmp_path, monkeypatch, number, code):
    from fastadagrad.linear.training import Trainer

    whole_epoch = Trainer.train  # there is one call an epoch of so few examples

    def interrupted(self, *rest):
        interrupted.calls += 1
        if interrupted.calls == 3:
            signal.raise_signal(number)
        return whole_epoch(self, *rest)

    interrupted.calls = 0
    monkeypatch.setattr(Trainer, "train", interrupted)
    status, out, _ = run(capsys, "fit", "iris", "--learning-rate", 0.1, "--model", tmp_path / "m")
    assert status == code
    assert "interrupted" in out
    assert len(LinearModel.load(tmp_path / "m").history) == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_ctrl_c_in_the_first_epoch_leaves_an_older_model_alone(capsys, tmp_path, monkeypatch):
    def interrupted(self, *rest):
        raise KeyboardInterrupt

    model = tmp_path / "m"
    run(capsys, "fit", "iris", "--model", model)
    before = model.read_bytes()
    monkeypatch.setattr("fastadagrad.linear.training.Trainer.train", interrupted)
    options = ["--learning-rate", 0.1, "--model", model, "--plot", tmp_path / "a.png", "--json"]
    status, out, err = run(capsys, "fit", "iris", *options)
    assert status == 130
    assert not {"model", "plot"} & json.loads(out).keys()
    assert not (tmp_path / "a.png").exists()
    assert "no epoch was finished" in err
    assert model.read_bytes() == before


def test_ctrl_c_elsewhere(capsys, monkeypatch):
    def interrupted(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastadagrad.data.loading.load", interrupted)
    assert run(capsys, "fit", "iris") == (130, "", "fastadagrad: interrupted\n")


def test_info(capsys):
    status, out, _ = run(capsys, "info", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["versions"]["numpy"] == np.__version__
    assert {"threads", "threading", "cuda", "cache"} <= set(found)
    assert run(capsys, "info")[1].startswith("versions")


def test_warmup_of_the_parser(capsys):
    status, _, err = run(capsys, "warmup", "--only", "parser")
    assert status == 0
    assert "svmlight parser, float32" in err
    assert "ready after" in err


def test_as_a_process(tmp_path):
    """``python -m fastadagrad`` also survives a reader that goes away."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "fastadagrad", "fit", "iris", "--model", str(tmp_path / "m"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["train"]["accuracy"] > 0.9
    command = [sys.executable, "-m", "fastadagrad", "predict", str(tmp_path / "m"), "digits"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "fastadagrad: digits must have 4 features, got 64\n"


@pytest.mark.slow
def test_compiled_loops_are_read_from_the_cache(tmp_path):
    """A second process compiles nothing."""
    script = (
        "from fastadagrad.linear import LinearModel\n"
        "from fastadagrad.linear.training import Trainer\n"
        "import numpy as np\n"
        "loops = []\n"
        "prepare = Trainer._call\n"
        "Trainer._call = lambda self, order: (loops.append(self._loop), prepare(self, order))[1]\n"
        "LinearModel(max_epochs=1).fit(np.eye(4), [0, 1, 0, 1])\n"
        "print(sum(loops[0].stats.cache_misses.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    misses = [
        int(subprocess.run([sys.executable, "-c", script], capture_output=True, env=environment, check=True).stdout)
        for _ in range(2)
    ]
    assert misses == [1, 0]
