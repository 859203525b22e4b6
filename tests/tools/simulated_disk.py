"""Files that are saved on a simulated disk, while the system reports errors, processes are killed and the power fails.

``python tests/tools/simulated_disk.py --seeds 10000`` simulates so many histories, each from one seed, and tells of
every promise that was not kept; ``--seed N`` replays one, and prints every call of its processes.
"""

import argparse
import errno
import math
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest import mock

from choices import Unkept, replayed, unkept_among
from disk_calls import System, opened
from durable_disk import FAILING, ROOT, Disk, Faults, File, Killed
from kept_kinds import KINDS, PATH

from fastadagrad.compare import Problem, journal, results
from fastadagrad.compare.contenders import contender_named
from fastadagrad.compare.grid import Plan
from fastadagrad.compare.running import Run
from fastadagrad.support import array_file, outputs

MODE = 0o600
FOLDER = Path(f"{ROOT}/of/comparison")
_current = SimpleNamespace(disk=None)


def _disk():
    return _current.disk


class Locks(ModuleType):
    """What the module `fcntl` is to the process."""

    LOCK_EX, LOCK_NB = 2, 4

    def flock(self, number, how):
        disk = _disk()
        disk.called("flock", number)
        handle = disk.handles[number]
        if handle.file.holder not in (None, handle):
            raise BlockingIOError(errno.EAGAIN, "locked")
        handle.file.holder = handle


@contextmanager
def installed():
    """Let all that saves and reads files use the simulated disk; `_current.disk` is the one under way."""
    names = SimpleNamespace(token_hex=lambda size: _disk().choices.hexadecimal(2 * size))
    system, open_file = System(_disk), lambda *a, **k: opened(_disk(), *a, **k)
    places = [(outputs, "os", system), (journal, "os", system), (outputs, "secrets", names)]
    places += [(module, "open", open_file) for module in (outputs, array_file, journal, results)]
    machine = results.machine()
    places.append((results, "machine", lambda: machine))
    with ExitStack() as stack:
        for module, name, replacement in places:
            stack.enter_context(mock.patch.object(module, name, replacement, create=True))
        stack.enter_context(mock.patch.dict(sys.modules, {"fcntl": Locks("fcntl")}))
        yield


def faults(choices, calls):
    """What goes wrong in the life of a process that makes about so many calls."""
    killed_at = 1 + choices.below(calls) if choices.chance(0.6) else None
    errors = {}
    if choices.chance(0.5):
        errors = {choices.one_of(FAILING): 1 + choices.below(6) for _ in range(1 + choices.below(2))}
    return Faults(killed_at, errors, choices.chance(0.3), 0.5 if choices.chance(0.3) else 0.0)


def room(choices):
    """Bytes that files may grow by, which are few at times."""
    return choices.below(6000) if choices.chance(0.2) else 1 << 40


def insist(kept, what, *values):
    if not kept:
        raise Unkept(what % values)


class Saving:
    """A history of saves to one path: what has been tried and what has returned, by the numbers of the contents."""

    def __init__(self, disk, kind):
        self.disk, self.choices, self.kind = disk, disk.choices, kind
        self.returned, self.tried, self.next, self.known = None, [], 0, {}
        self.had_one = self.choices.chance(0.5)
        if self.had_one:
            self._put_an_old_file()
        self.held = None
        if self.choices.chance(0.3):
            self._put_leftovers()

    def _put_an_old_file(self):
        disk = self.disk
        disk.begin(Faults())
        self.kind.write(0, self.choices)
        entry = disk.found(PATH)
        entry.mode = entry.durable_mode = MODE
        self.returned, self.tried, self.next = 0, [0], 1

    def _put_leftovers(self):
        """What another process, which has been killed, has left; and what one that is alive is writing."""
        entries = {f".model.{k:012x}.tmp": File(b"left") for k in range(2)}
        entries[".model.0123456789ab.tm"] = File(b"of somebody else")
        *_, self.held = entries
        if self.choices.chance(0.5):
            self.held = ".model.ffffffffffff.tmp"
            entries[self.held] = File(b"being written")
        self.disk.root.entries |= entries
        self.disk.root.durable |= entries

    def hold(self):
        """Have the process that is alive keep its lock, through failures of ours."""
        if self.held in self.disk.root.entries:
            self.disk.root.entries[self.held].holder = self

    def visible(self):
        """The number of the file at the path; None if there is none. A file that is none of them breaks a promise."""
        content = self.disk.content(PATH)
        if content is None:
            return None
        number = self.kind.number(content) if content not in self.known else self.known[content]
        self.known[content] = number
        insist(number is not None, "the file is torn: %d bytes", len(content))
        return number

    def stray(self):
        return [n for n in self.disk.root.entries if n.startswith(".model.") and n.endswith(".tmp") and n != self.held]

    def life(self):
        """A process that saves a few times, and may be killed or told of errors meanwhile."""
        disk, choices = self.disk, self.choices
        self.hold()
        disk.begin(faults(choices, 50), room(choices))
        try:
            for _ in range(1 + choices.below(3)):
                self.save()
        except Killed:
            pass
        if choices.chance(0.7):
            disk.fail()
        else:
            disk.kill()

    def save(self):
        disk, k = self.disk, self.next
        if k >= self.kind.count:
            return
        before, mode = self._seen()
        self.next += 1
        self.tried.append(k)
        self.choices.note("save %d", k)
        failures, strays = disk.failed, {*self.stray()}
        try:
            self.kind.write(k, self.choices)
        except OSError as error:
            self.choices.note("     %r", error)
            insist(disk.failed > failures, "an error without a cause: %r", error)
            insist(error.filename == PATH, "the error names %r, not the path: %r", error.filename, error)
            insist(error.errno in (errno.EIO, errno.ENOSPC), "another error: %r", error)
            after, _ = self._seen()
            insist(after in (before, k), "after an error the file is %s, neither %s nor %s", after, before, k)
            left = {*self.stray()} - strays
            insist("unlink" in disk.faults.errors or not left, "a failed save has left %s", left)
            return
        after, new_mode = self._seen()
        insist(after == k, "saved %s, and the file is %s", k, after)
        insist(before is None or new_mode == mode, "the mode was %o, and is %o", mode or 0, new_mode or 0)
        insist(disk.failed or not self.stray(), "a save has left %s", self.stray())
        self.returned = k

    def _seen(self):
        """Number and mode of the file, looked at by nobody: no call of the process is counted."""
        disk = self.disk
        kept = disk.faults, disk.calls, disk.kinds, disk.failed
        disk.faults = Faults()
        try:
            found = self.visible()
            return found, None if found is None else disk.found(PATH).mode
        finally:
            disk.faults, disk.calls, disk.kinds, disk.failed = kept

    def check_after_restart(self):
        """The file is the last one whose save has returned, or one that was tried later."""
        self.disk.begin(Faults())
        found, mode = self._seen()
        self.choices.note("found %s; the last save that returned was of %s", found, self.returned)
        if found is None:
            insist(self.returned is None, "save %s had returned, and there is no file", self.returned)
        else:
            later = self.returned is None or found >= self.returned
            insist(later and found in self.tried, "save %s had returned, and the file is %s", self.returned, found)
            insist(not self.had_one or mode == MODE, "the mode has become %o", mode)

    def end(self):
        """A process without faults saves once more, and clears what all others have left."""
        self.disk.begin(Faults())
        self.hold()
        self.next = min(self.next, self.kind.count - 1)
        self.save()
        insist(not self.stray(), "the last save has left %s", self.stray())
        self.hold()
        insist(self.held is None or self.held in self.disk.root.entries, "another's file has been deleted")


def saving(choices, kind):
    disk = _current.disk = Disk(choices)
    history = Saving(disk, KINDS[kind])
    for _ in range(1 + choices.below(3)):
        history.life()
        history.check_after_restart()
    history.end()


PLAN = Plan((Problem("p", lambda seed: None),), (contender_named("sgd"),), (0.1, 0.2), 4, {"p": 2})


def _run(cell, k):
    failed = "x" * (0, 80, 600)[k % 3]
    return Run(cell, k, (1.0, 0.5, math.inf), (1.0, 0.1 + 0.2, 1 / 3), (0.0, 0.25, 1e-300), (), failed)


RUNS = [_run(cell, k) for k, cell in enumerate(PLAN.cells())]


class Comparing:
    """A history of a comparison that is begun again after each failure; `kept` are the runs that were acknowledged."""

    def __init__(self, disk):
        self.disk, self.choices, self.kept = disk, disk.choices, {}

    def found(self):
        """The runs in the journal, which has all that were acknowledged."""
        log = journal.Journal(FOLDER / results.JOURNAL)
        found = log.read()
        insist(all(found.get(cell) == run for cell, run in self.kept.items()), "a run that was kept is lost")
        insist(all(run in RUNS for run in found.values()), "the journal has a run that nobody has made")
        return found

    def go_on(self):
        """Open the folder as `compare` does, and make the missing runs, or some of them."""
        log, _ = results.open_folder(FOLDER, PLAN)
        try:
            found = self.found()
            for run in RUNS:
                if run.cell in found or self.choices.chance(0.2):
                    continue
                self.choices.note("append %d", run.steps_an_epoch)
                try:
                    log.append(run)
                except OSError as error:
                    self.check(error)
                    if self.choices.chance(0.5):
                        return
                    continue  # as nobody does, but might
                self.kept[run.cell] = run
        finally:
            log.close()

    def check(self, error):
        self.choices.note("     %r", error)
        insist(self.disk.failed, "an error without a cause: %r", error)
        named = Path(str(error.filename))
        insist(named.parent == FOLDER or FOLDER.is_relative_to(named), "the error names %s: %r", named, error)

    def life(self):
        disk, choices = self.disk, self.choices
        disk.begin(faults(choices, 80), room(choices))
        try:
            self.go_on()
        except Killed:
            pass
        except OSError as error:
            self.check(error)
        if choices.chance(0.7):
            disk.fail()
        else:
            disk.kill()


def comparing(choices):
    disk = _current.disk = Disk(choices)
    history = Comparing(disk)
    for _ in range(1 + choices.below(3)):
        history.life()
        disk.begin(Faults())
        history.found()
    history.go_on()
    disk.fail()
    disk.begin(Faults())
    history.found()


def simulate(choices):
    """One history, of files that are replaced or of a journal."""
    number = choices.below(100)
    kind = "comparing" if number < 35 else "contents" if number < 88 else "optimizers" if number < 94 else "models"
    choices.note("a history of %s", kind)
    try:
        comparing(choices) if kind == "comparing" else saving(choices, kind)
    except Unkept as unkept:
        raise Unkept(f"{kind}: {unkept}") from None
    except Exception as error:
        raise Unkept(f"{kind}: {type(error).__name__}: {error}") from error
    return kind


def many(first, count):
    """The seeds of so many whose history has broken a promise, with what that is."""
    return unkept_among(simulate, range(first, first + count))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    with installed():
        if arguments.seed is not None:
            events, unkept = replayed(simulate, arguments.seed)
            print(*events, unkept or "every promise has been kept", sep="\n")
            return 1 if unkept else 0
        began, wrong = time.perf_counter(), many(arguments.first, arguments.seeds)
    for seed, what in sorted(wrong.items()):
        print(f"seed {seed}: {what}")
    seconds = time.perf_counter() - began
    print(f"{arguments.seeds - len(wrong)} of {arguments.seeds} seeds lost nothing, in {seconds:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
