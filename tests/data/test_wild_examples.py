"""Files of examples, models and comparisons by grammar and by bytes: refused by name, or read as they are."""

import json

import numpy as np
import pytest
import wild_examples
from simulated_disk import RUNS
from wild import tried

import fastadagrad as fa
from fastadagrad.compare.journal import Journal

pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("files", "seed"), [(300, 0), pytest.param(4000, 100, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_file_keeps_to_the_contract(files, seed):
    assert tried(files, seed, at_once=2000, program=wild_examples.__file__) == {}


def test_a_damaged_arrow_file_crashes_nothing(tmp_path):
    """Words that begin and end where there is no memory are refused."""
    import pyarrow

    path = tmp_path / "data.arrow"
    table = pyarrow.table({"word": ["x", "yy", "x"], "label": [0, 1, 0]})
    with pyarrow.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    offsets = np.array([0, 1, 3, 4], np.int32).tobytes()
    content = path.read_bytes()
    assert content.count(offsets) == 1
    wrong = np.array([0, 1, 2**30, 2**30 + 1], np.int32).tobytes()
    path.write_bytes(content.replace(offsets, wrong))
    with pytest.raises(ValueError, match=r"data\.arrow"):
        fa.Stream(path, target="label").table()


@pytest.mark.parametrize(
    ("field", "value"), [("rate", {}), ("problem", [1]), ("seed", "0"), ("epochs", 2.5), ("steps_an_epoch", None)]
)
def test_a_field_of_another_type_is_damage(tmp_path, field, value):
    path = tmp_path / "runs.jsonl"
    log = Journal(path)
    log.append(RUNS[0])
    log.close()
    entry = json.loads(path.read_text())
    entry[field] = entry["cell"][field] = value
    if field == "steps_an_epoch":
        del entry["cell"][field]
    else:
        del entry[field]
    path.write_text(json.dumps(entry) + "\n")
    with pytest.raises(ValueError, match=r"runs\.jsonl, line 1 is damaged \(TypeError: fields of another type"):
        Journal(path).read()
