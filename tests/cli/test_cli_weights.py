"""Examples with weights: rows and weights are counted apart. The epoch that is kept is marked."""

import json
import re

import numpy as np
import pytest
from command_line import run

RNG = np.random.default_rng(0)
N = 600
WEIGHTS = np.arange(N) % 4  # some of them 0


@pytest.fixture
def weighed(tmp_path):
    X = RNG.normal(size=(N, 2)).round(3)
    rows = zip(X.tolist(), WEIGHTS.tolist(), strict=True)
    path = tmp_path / "weighed.csv"
    path.write_text("a,b,w,y\n" + "".join(f"{a},{b},{w},{'yes' if a > b else 'no'}\n" for (a, b), w in rows))
    return path


@pytest.mark.parametrize("how", ["--stream", "--no-stream"])
def test_rows_and_weights_are_counted_apart(capsys, weighed, how):
    options = [weighed, "--target", "y", "--weight", "w", "--epochs", 2, how]
    _, out, err = run(capsys, "fit", *options, "--json")
    report = json.loads(out)
    assert (report["examples"], report["weight"]) == (N, WEIGHTS.sum())
    assert re.search(r"by [0-9]+ trials on ([0-9]+) examples", err)[1] == str(np.count_nonzero(WEIGHTS))
    assert json.loads(run(capsys, "fit", *options[:3], "--drop", "w", how, "--json")[1])["weight"] is None


def test_the_progressive_table_has_a_column_of_weights(capsys, weighed):
    lines = run(capsys, "fit", weighed, "--target", "y", "--weight", "w", "--epochs", 2, "--stream")[1].splitlines()
    assert lines[1].split() == ["epoch", "average", "since", "last", "examples", "weight", "best", "constant"]
    rows = [line.split() for line in lines[2:] if line[:5].strip().isdigit()]
    assert [row[3:5] for row in rows[-2:]] == [["600", "900"]] * 2


def test_the_epoch_of_a_stream_that_is_kept_is_marked(capsys, tmp_path):
    X = RNG.normal(size=(60, 30)).round(3)
    labels = X[:, 0] + 2 * RNG.normal(size=60) > 0
    path = tmp_path / "hard.csv"
    rows = (f"{','.join(map(str, row))},{int(y)}\n" for row, y in zip(X.tolist(), labels, strict=True))
    path.write_text(",".join(f"x{j}" for j in range(30)) + ",y\n" + "".join(rows))
    out = run(capsys, "fit", path, "--target", "y", "--stream", "--valid", 0.4, "--learning-rate", 3, "--epochs", 8)[1]
    kept, epochs = re.search(r"epoch ([0-9]+) of ([0-9]+) kept", out).groups()
    assert int(kept) < int(epochs)
    rows = [line for line in out.splitlines() if re.match(r" *[0-9]+\*? ", line)]
    assert rows[-1].split()[0] == f"{kept}*"
    assert rows[-1].split()[1:] == next(row for row in reversed(rows) if row.split()[0] == kept).split()[1:]
