"""Files of examples, models and comparisons by grammar and by bytes: refused by name, or read as they are."""

import json

import pytest
import wild_examples
from simulated_disk import RUNS
from wild import tried

from fastadagrad.compare.journal import Journal

pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("files", "seed"), [(300, 0), pytest.param(4000, 100, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_file_keeps_to_the_contract(files, seed):
    assert tried(files, seed, at_once=2000, program=wild_examples.__file__) == {}


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
