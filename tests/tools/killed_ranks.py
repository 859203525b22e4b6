"""Training by four processes of MPI, of which one is killed with SIGKILL at random moments; three go on.

``python tests/tools/killed_ranks.py --kills 20 --seed 1`` kills one process so often, each time in a new run. The
others must end within ten seconds, with a message. Then three processes go on from the newest checkpoint, once to the
end and once killed on the way by another seed, and must have the bits of an undisturbed run of three from there: losses
of each epoch and parameters.

A moment is a time between the first checkpoint and the end of an undisturbed run, drawn by the seed.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from launching import environment, under_mpiexec

WIDTH, ROWS, EPOCHS = 50_000, 3000, 24
LIMIT = 10  # seconds in which the others must have ended
RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 8))
IDS = RNG.integers(0, ROWS, 96)


def loss(p, x, ids):
    picked = p["table"][ids].sum(axis=1)
    error = x @ p["w"][:8] + picked - x[:, 0]
    slope = 2 * error / len(error)
    w = np.zeros(WIDTH)
    w[:8] = x.T @ slope
    w += 1e-3 * p["w"]
    return float(error @ error) / len(error), {"w": w, "table": _rows(ids, slope)}


def _rows(ids, slope):
    import fastadagrad as fa

    return fa.Rows(ids, np.repeat(slope[:, None], 4, axis=1))


def train(folder):
    """Train in one of several processes; the first prints its number, and the losses of each epoch."""
    from mpi4py import MPI

    import fastadagrad as fa

    world = MPI.COMM_WORLD
    pids = world.allgather(os.getpid())
    if world.rank == 0:
        print(json.dumps({"pids": pids}), flush=True)
    params = {"w": np.ones(WIDTH), "table": np.zeros((ROWS, 4))}
    opt = fa.ADAGRAD(loss, params, learning_rate=0.05, momentum=0.9, comm=world)
    how = {"checkpoint": folder, "resume": True, "every": 2, "rng": 0, "batch_size": 12, "max_epochs": EPOCHS}
    for _ in opt.iterate([X, IDS], touches=lambda x, ids: {"table": ids}, patience=EPOCHS, **how):
        if world.rank == 0:
            print(json.dumps({"epoch": len(opt.history)}), flush=True)
    if world.rank == 0:
        losses = [[epoch.train["loss"], epoch.valid["loss"]] for epoch in opt.history]
        digests = [params[name].tobytes().hex()[:4000] for name in params]
        print(json.dumps({"losses": losses, "params": digests}), flush=True)


class Job:
    """A run of so many processes, whose standard output is read as it comes."""

    def __init__(self, size, folder):
        command = under_mpiexec(size, __file__, "--train", folder)
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the job
        self.process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.pids = next(self.records())["pids"]

    def records(self):
        """What the first process prints, as it comes."""
        for line in self.process.stdout:
            if line.startswith("{"):
                yield json.loads(line)

    def end(self):
        """Wait for the end: seconds that it took, the status, and what was said."""
        began = time.monotonic()
        output, _ = self.process.communicate(timeout=120)
        self.errors.seek(0)
        plain = [line for line in output.splitlines() if not line.startswith("{")]
        return time.monotonic() - began, self.process.returncode, "\n".join([*plain, self.errors.read()])


def undisturbed(size, folder):
    """Losses and parameters of a run that nobody kills, and the seconds from its first epoch to its end."""
    job = Job(size, folder)
    began = last = None
    for record in job.records():
        began, last = began or time.monotonic(), record
    seconds, status, said = time.monotonic() - (began or 0), *job.end()[1:]
    assert status == 0, said
    return (last["losses"], last["params"]), seconds


def killed(size, folder, rng, seconds):
    """Run, and kill one of the processes; the seconds until the others had ended, and what they said."""
    job = Job(size, folder)
    next(job.records())
    time.sleep(seconds * rng.random())
    try:
        os.kill(job.pids[int(rng.integers(size))], signal.SIGKILL)
    except ProcessLookupError:  # it had come to its end
        return None
    took, status, said = job.end()
    alive = [pid for pid in job.pids if _is_alive(pid)]
    assert status != 0 or (folder / "end").exists(), "the job has ended well"
    assert not alive, f"processes {alive} live on"
    assert took < LIMIT, f"the others have ended after {took:.1f} s"
    assert said.strip(), "nothing was said"
    return took


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def check(number, seed, seconds, work):
    """Kill one, let three go on, and compare; the seconds until the others had ended, None if none was killed."""
    rng = np.random.default_rng([seed, number])
    folder = work / f"run-{number}"
    took = killed(4, folder, rng, seconds)
    if took is None:
        return None
    kept = work / f"kept-{number}"
    shutil.copytree(folder, kept)
    expected, _ = undisturbed(3, kept)
    killed(3, folder, rng, seconds / 2)
    found, _ = undisturbed(3, folder)
    epochs = [i for i, (a, b) in enumerate(zip(found[0], expected[0], strict=False), 1) if a != b]
    assert found == expected, f"the bits differ from those of a run without kills, in the losses of epochs {epochs}"
    stray = [path.name for path in folder.iterdir() if path.suffix == ".tmp"]
    assert not stray, stray
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train")
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train)
        return 0
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        _, seconds = undisturbed(4, work / "undisturbed")
        times = []
        number = 0
        while len(times) < arguments.kills:
            took = check(number, arguments.seed, seconds, work)
            if took is not None:
                times.append(took)
                print(f"run {number}: the others had ended after {took:.1f} s, and three went on", flush=True)
            number += 1
    print(
        f"{len(times)} of {len(times)} kills: the others had ended after {max(times):.1f} s at most, and three went on"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
