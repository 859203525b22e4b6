"""Files and models that make no sense for fit --stream, --resume and predict: one line says why, with status 2."""

import gzip
import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from command_line import run

from fastadagrad import cli
from fastadagrad.linear import LinearModel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)).round(3)
Y = (X[:, 0] > 0).astype(int)
SVM = "".join(f"{y} " + " ".join(f"{j + 1}:{x}" for j, x in enumerate(row)) + "\n" for row, y in zip(X, Y, strict=True))
CSV = "a,b,c,y\n" + "".join(f"{','.join(map(str, row))},{y}\n" for row, y in zip(X, Y, strict=True))
FAST = ["--epochs", 1, "--learning-rate", 0.1, "--quiet"]


def parquet(**columns):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def arrow():
    file, table = io.BytesIO(), pa.table({"a": X[:, 0], "y": Y})
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, 50)
    return file.getvalue()


NOISE = RNG.integers(0, 256, 5000, np.uint8).tobytes()
PARQUET = parquet(a=X[:, 0], b=X[:, 1], c=X[:, 2], y=Y)
FILES = {
    "ok.svm": SVM,
    "ok.csv": CSV,
    "ok.parquet": PARQUET,
    "wide.svm": SVM.replace(" 3:", " 9:"),
    "empty.svm": "",
    "empty.csv": "",
    "empty.parquet": "",
    "blank.svm": "\n\n  \n# nothing\n",
    "blank.csv": "\n\n",
    "header.csv": "a,b,c,y\n",
    "header_alone.csv": "a,b,c,y",
    "labels.csv": "y\n1\n0\n",
    "noise": NOISE,
    "noise.csv": NOISE,
    "zeros": bytes(5000),
    "nan.svm": SVM + "1 1:nan\n",
    "inf.svm": SVM + "1 1:inf\n",
    "nan_label.svm": SVM + "nan 1:1\n",
    "far.svm": SVM + "1 99999999999:1\n",
    "nan.csv": CSV + "nan,1,2,1\n",
    "inf.csv": CSV + "inf,1,2,1\n",
    "nan_label.csv": CSV + "1,2,3,\n",
    "short.csv": CSV + "1,2\n",
    "words.csv": CSV + "x,1,2,1\n",
    "twice.csv": "a,a,c,b,y\n1,2,3,4,0\n2,3,4,5,1\n",
    "latin.csv": b"a,b,c,y\n1,\xe9,0,1\n2,\xe8,1\n",
    "marked.csv": CSV.encode("utf-16"),
    "marked.svm": SVM.encode("utf-16"),
    "one_line.csv": "a," * (1 << 20) + "y",
    "page.svm": "<!doctype html><html>\n",
    "cut.svm.gz": gzip.compress(SVM.encode())[:-200],
    "cut.csv.gz": gzip.compress(CSV.encode())[:-200],
    "cut.parquet": PARQUET[:-50],
    "cut.arrows": arrow()[:900],
    "whole.parquet.gz": gzip.compress(PARQUET),
    "no_rows.parquet": parquet(a=pa.array([], pa.float64()), y=pa.array([], pa.int64())),
    "list.parquet": parquet(a=[[1], [2]], y=[0, 1]),
    "weightless.csv": "a,w,y\n1,0,0\n2,0,1\n",
    "weights_of_words.csv": "a,w,y\n1,x,0\n2,z,1\n",
    "strings.csv": "a,b,y\n" + "".join(f"{i % 7},{'uvw'[i % 3]},{i % 2}\n" for i in range(60)),
}
TARGET = ["--target", "y"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All the files, and models of three of them."""
    path = tmp_path_factory.mktemp("nonsense")
    for name, content in FILES.items():
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (path / "directory").mkdir()
    np.savez(path / "arrays.npz", a=1)
    models = {"svm": "ok.svm", "csv": "ok.csv", "strings": "strings.csv", "hashed": "ok.svm", "whole": "ok.svm"}
    for name, source in models.items():
        how = ["--no-stream"] if name == "whole" else ["--stream"]
        how += ["--hash-bits", 8] if name == "hashed" else []
        more = TARGET if source.endswith("csv") else []
        arguments = ["fit", path / source, *more, *how, *FAST, "--model", path / f"{name}.model"]
        assert cli.main([str(each) for each in arguments]) == 0
    (path / "cut.model").write_bytes((path / "svm.model").read_bytes()[:-200])
    return path


def refused(capsys, monkeypatch, folder, arguments, message):
    monkeypatch.chdir(folder)
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert "Traceback" not in err
    assert "Warning" not in err
    last = err.splitlines()[-1]
    assert last.startswith("fastadagrad: ")
    assert message in last
    assert len(last) < 400


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("empty.svm", "empty.svm has no rows"),
        ("blank.svm", "blank.svm has no rows to train on"),
        ("directory", "directory: Is a directory"),
        ("noise", "noise: this is binary"),
        ("zeros", "zeros: this is binary"),
        ("nan.svm", "line 201: '1:nan' has a value that is not a finite decimal number"),
        ("inf.svm", "line 201: '1:inf' has a value"),
        ("nan_label.svm", "line 201: 'nan' is not a label"),
        ("far.svm", "has an index beyond int32"),
        ("marked.svm", "is in UTF-16 or UTF-32: a stream must be in UTF-8"),
        ("page.svm", "this looks like a web page"),
        ("cut.svm.gz", "truncated or damaged"),
        ("arrays.npz", "which are read whole: use load (leave --stream out)"),
        ("nothing.svm", "nothing.svm: No such file or directory"),
        ("empty.csv", "empty.csv has no rows"),
        ("empty.parquet", "empty.parquet has no rows"),
        ("blank.csv", "blank.csv has no rows"),
        ("header.csv", "header.csv has no rows"),
        ("header_alone.csv", "header_alone.csv has no rows"),
        ("labels.csv", "has no features beside 'y'"),
        ("noise.csv", "noise.csv is binary"),
        ("nan.csv", "row 200 (counted from 0), column 'a': is missing"),
        ("inf.csv", "row 200 (counted from 0), column 'a': is inf"),
        ("nan_label.csv", "column 'y': is missing, and it is the label"),
        ("short.csv", "Expected 4 columns, got 2"),
        ("twice.csv", "has 2 columns named 'a': rename all but one"),
        ("latin.csv", "latin.csv, line 2: is no text in UTF-8, for its byte 0xe9"),
        ("marked.csv", "CSV must be in UTF-8 (iconv -t utf-8)"),
        ("one_line.csv", "has a first line of more than 1,048,576 bytes"),
        ("cut.csv.gz", "cut.csv.gz is no sound CSV file"),
        ("cut.parquet", "cut.parquet is no sound Parquet file"),
        ("cut.arrows", "cut.arrows is no sound Arrow file"),
        ("whole.parquet.gz", "is compressed as a whole: decompress it first"),
        ("no_rows.parquet", "no_rows.parquet has no rows"),
        ("list.parquet", "column 'a' is list<element: int64>, neither a number nor a string"),
    ],
)
def test_streams_that_cannot_be_trained_on(capsys, monkeypatch, folder, source, message):
    target = TARGET if source.endswith(("csv", "csv.gz", "parquet", "parquet.gz", "arrows")) else []
    refused(capsys, monkeypatch, folder, ["fit", source, *target, "--stream", *FAST], message)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("weightless.csv", "all examples of the stream have weight 0"),
        ("weights_of_words.csv", "column 'w' is string, and not numbers, which weights must be"),
    ],
)
def test_weights_that_make_no_sense(capsys, monkeypatch, folder, source, message):
    refused(capsys, monkeypatch, folder, ["fit", source, *TARGET, "--weight", "w", "--stream", *FAST], message)


@pytest.mark.parametrize("command", [["predict", "{}", "ok.svm"], ["fit", "ok.svm", "--resume", "{}"], ["info", "{}"]])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nothing.model", "nothing.model: No such file or directory"),
        ("directory", "directory: Is a directory"),
        ("empty.svm", "is not a whole fastadagrad linear model file"),
        ("noise", "is not a whole fastadagrad linear model file"),
        ("ok.csv", "is not a whole fastadagrad linear model file"),
        ("arrays.npz", "is not a whole fastadagrad linear model file"),
        ("cut.model", "is not a whole fastadagrad linear model file"),
    ],
)
def test_files_that_are_no_models(capsys, monkeypatch, folder, command, model, message):
    refused(capsys, monkeypatch, folder, [each.format(model) for each in command], message)


@pytest.mark.parametrize(
    ("model", "source", "message"),
    [
        ("svm", "empty.svm", "empty.svm has no rows"),
        ("svm", "blank.svm", "blank.svm has no rows"),
        ("svm", "directory", "Is a directory"),
        ("svm", "noise", "this is binary"),
        ("svm", "nan.svm", "line 201: '1:nan'"),
        ("svm", "cut.svm.gz", "truncated or damaged"),
        ("svm", "arrays.npz", "no X, and no CSR matrix"),
        ("svm", "ok.csv", "ok.csv must have 3 features, got 4"),
        ("svm", "iris", "iris must have 3 features, got 4"),
        ("csv", "empty.csv", "empty.csv has no rows"),
        ("csv", "header.csv", "header.csv has no rows"),
        ("csv", "noise.csv", "noise.csv is binary"),
        ("csv", "labels.csv", "has no column 'a' (a feature of the training)"),
        ("csv", "strings.csv", "has no column 'c' (a feature of the training)"),
        ("csv", "words.csv", "conversion error to double: invalid value 'x'"),
        ("csv", "nan.csv", "row 200 (counted from 0), column 'a': is missing"),
        ("csv", "twice.csv", "has 2 columns named 'a'"),
        ("csv", "cut.parquet", "is no sound Parquet file"),
        ("strings", "ok.svm", "features hashed by numbers of columns, as in svmlight text, and the model's"),
        ("hashed", "strings.csv", "features hashed by names of columns, as of CSV"),
    ],
)
def test_sources_that_a_model_cannot_score(capsys, monkeypatch, folder, model, source, message):
    output = folder / "predictions"
    refused(capsys, monkeypatch, folder, ["predict", f"{model}.model", source, "--output", output], message)
    assert not output.exists()


@pytest.mark.parametrize(
    ("model", "source", "options", "message"),
    [
        ("whole", "ok.svm", [], "no state of training to go on from: train it with --stream"),
        ("svm", "empty.svm", [], "empty.svm has no rows"),
        ("svm", "blank.svm", [], "there are none: nothing to train on"),
        ("svm", "nan.svm", [], "line 201: '1:nan'"),
        ("csv", "header.csv", TARGET, "header.csv has no rows"),
        ("csv", "strings.csv", TARGET, "has no column 'c' (a feature of the training)"),
        ("csv", "words.csv", TARGET, "conversion error to double: invalid value 'x'"),
        ("strings", "ok.svm", [], "features hashed by numbers of columns"),
        ("hashed", "strings.csv", TARGET, "features hashed by names of columns"),
        ("svm", "ok.svm", ["--loss", "squared"], "training goes on with loss 'logistic', with which it began"),
        ("svm", "ok.svm", ["--method", "sgd"], "training goes on with method 'adagrad', with which it began"),
        ("svm", "ok.svm", ["--no-intercept"], "training goes on with intercept 'True'"),
        ("svm", "ok.svm", ["--momentum", "0.9"], "training goes on with slots 'accumulator'"),
        ("svm", "ok.svm", ["--hash-bits", "8"], "--hash-bits is 8, and the model was trained with hash_bits=None"),
        ("svm", "ok.svm", ["--classes", "a,b"], "classes=['a', 'b'] are not those with which training began"),
        ("svm", "ok.svm", ["--classes", "0,1,2"], "are not those with which training began"),
        ("svm", "ok.svm", ["--features", "7"], "--features is 7, and the model to go on from has 3"),
    ],
)
def test_models_from_which_training_cannot_go_on_so(capsys, monkeypatch, folder, model, source, options, message):
    refused(capsys, monkeypatch, folder, ["fit", source, "--resume", f"{model}.model", *options, *FAST], message)


def test_what_can_go_on_and_be_scored(capsys, monkeypatch, folder):
    monkeypatch.chdir(folder)
    for more in (["--classes", "1,0"], ["--features", "3"], ["--dtype", "float64"]):
        status, _, err = run(capsys, "fit", "ok.svm", "--resume", "svm.model", *more, "--epochs", 1)
        assert status == 0, err
    for source in ("wide.svm", "marked.svm"):
        status, out, err = run(capsys, "predict", "svm.model", source)
        assert (status, len(out.split())) == (0, 200), err


def test_numbers_beyond_float64_are_no_warning(tmp_path, recwarn):
    (tmp_path / "large.svm").write_text(SVM + "1 1:1e300\n")
    assert cli.main(["fit", str(tmp_path / "large.svm"), "--stream", "--epochs", "1", "--quiet"]) == 0
    assert not [each for each in recwarn if each.category is RuntimeWarning]


def test_parts_of_named_columns_that_are_hashed_can_be_scored(folder):
    from fastadagrad import Stream

    table = Stream(folder / "strings.csv", target="y").table()
    model = LinearModel(hash_bits=18).partial_fit(table)
    assert model.columns_ == table.columns
    assert model.predict(table).shape == (60,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("predict svm.model many.svm | head -1", 2, ""),
        ("fit many.svm --stream --learning-rate 0.1 --epochs 2 | head -1", 2, ""),
        ("fit - --stream <&-", 2, "standard input is closed"),
        ("predict svm.model - <&-", 2, "standard input is closed"),
        ("fit - --stream < /dev/null", 2, "standard input has no rows"),
        ("predict svm.model ok.svm >&-", 2, "standard output is closed: use --output FILE"),
        ("predict svm.model ok.svm > /dev/full", 2, "No space left on device"),
        ("fit - --stream --target y < <(cat ok.parquet)", 2, "it must be a file, not a pipe"),
        ("fit - --stream < svm.model", 2, "which are read whole"),
        ("fit - --stream < cut.svm.gz", 2, "standard input: truncated or damaged"),
    ],
)
def test_pipes_that_close_early(folder, command, status, message):
    if not (folder / "many.svm").exists():
        (folder / "many.svm").write_text(3000 * SVM)
    shell = f"set -o pipefail; {sys.executable} -m fastadagrad {command}"
    done = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert message in done.stderr
