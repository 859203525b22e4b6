"""The session of an optimizer: it trains on single batches, validates, and knows the run under way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import get_ident
from typing import Any, NamedTuple, TypeVar

from ..data.dataset import Dataset, sample_count
from ..engine.options import Rule, Settings
from ..engine.parameters import Parameters
from ..support import array_file, numbered_files
from ..support.asking import UNREADABLE, refuse_unreadable
from ..support.interrupts import whole
from ..support.log import logger
from . import checkpoint, hyper_record, writing
from .exporting import export
from .history import Best, History, Ledger, Monitored
from .monitors import Monitors, WeightedMean
from .objective import Objective
from .run import Run, Touches
from .saved_files import Contents, folder_at, newest_in
from .stepper import DividedAmong, Stepper
from .updates import Updates

Result = TypeVar("Result")
# (loss, batch) -> products, one a parameter; None in the place of a batch has the vectors drawn and nothing else.
FormProducts = Callable[[Objective, tuple[Any, ...] | None], Sequence[Any]]


class Loaded(NamedTuple):
    """The state of a saved run, and the engine's count of changes when the run was loaded."""

    run: dict[str, Any]
    changes: int


class Session(Stepper):
    """A stepper with a loss, which has all that a run needs of an optimizer (see `.run.Trained`)."""

    def __init__(
        self,
        rule: Rule,
        params: Parameters,
        hyper: Mapping[str, Any],
        objective: Objective | None,
        monitors: Monitors,
        updates: Updates,
        *,
        divided_among: DividedAmong | None = None,
    ) -> None:
        super().__init__(rule, params, hyper, divided_among)
        self.monitors, self.updates, self._objective = monitors, updates, objective
        self.form_products: FormProducts | None = None  # set by a method that uses Hessian-vector products
        self.touches: Touches | None = None  # argument of the run under way
        self.latest_run: Run | None = None  # the run that the last call of `iterate` has made
        self._run: Run | None = None  # the run under way
        self._loaded: Loaded | None = None
        self._datasets: dict[str, Dataset] = {}
        self._told_of_flushing = False
        self._begun: dict[str, hyper_record.Record] = {}  # hyperparameters at the start of the run under way

    @property
    def objective(self) -> Objective:
        """The loss, or RuntimeError if the optimizer was made without one."""
        if self._objective is None:
            raise RuntimeError("this optimizer has no loss: pass loss= when making it, or call step(gradients)")
        return self._objective

    def made_of(self) -> dict[str, Any]:
        """The arguments that the optimizer was made with, except the hyperparameters."""
        of_loss = {} if self._objective is None else self._objective.made_of()
        return {**of_loss, **self.monitors.made_of(), "params": self.params.given, "updates": self.updates.made_of()}

    # One batch

    def arguments_of(self, batch: Any, axis: int) -> Any:
        """The arguments that the loss takes after params, made from a batch whose samples lie along an axis."""
        return self.objective.arguments(batch)

    def anywhere(self, happened: bool) -> bool:
        """Whether something has happened in any of the processes that train together."""
        return happened

    def share_params(self) -> None:
        """Give the parameters to all processes that train together, after they have been set."""

    def has_left_alone(self, error: BaseException) -> bool:
        """Whether an error has come in this process only, of several that train together."""
        return False

    def everywhere(self, about: str, function: Callable[[], Result]) -> Result:
        """What a function returns here, once it has in all processes that train together; `about` names the call."""
        return function()

    @property
    def processes(self) -> numbered_files.Processes:
        """The processes that write the checkpoints of a run together."""
        return numbered_files.ALONE

    def common_rng(self, rng: Any) -> Any:
        """What is given as the source of random orders, or what all processes that train together take in its place."""
        return rng

    def prepare(self, arguments: tuple[Any, ...]) -> None:
        """Fetch rows of tables that no process has whole, before the loss and the monitors read them."""

    def measure(self, arguments: tuple[Any, ...], gradients_needed: bool) -> tuple[Monitored, list[Any] | None]:
        """Monitors on a batch, and its gradients if they are needed."""
        gradients = None
        if gradients_needed:
            loss, gradients = self.objective.value_and_gradients(arguments, self.engine.frozen)
        else:
            loss = self.objective.value(arguments)
        return self.monitors.measure(loss, gradients, arguments), gradients

    def means_over(self, data: Dataset | None, stop: Callable[[], bool] | None = None) -> Monitored | None:
        """Means of the monitors over a dataset; None if `stop`, which is called before each batch, returns true.

        Other threads may read meanwhile, and change nothing.
        """
        return self.engine.evaluate(self._means_over, data, stop)

    def _means_over(self, data: Dataset | None, stop: Callable[[], bool] | None) -> Monitored | None:
        self.flush()
        mean = WeightedMean()
        axis = 0 if data is None else data.axis
        for batch in [()] if data is None else data.batches():
            if stop is not None and self.anywhere(stop()):
                return None
            arguments = self.arguments_of(batch, axis)
            self.prepare(arguments)
            values, _ = self.measure(arguments, self.monitors.of_gradients)
            mean.add(values, 1 if data is None else sample_count(batch, axis))
        return mean.means()

    def train_on(self, arguments: tuple[Any, ...]) -> Monitored:
        """Monitors on one batch and, if its loss is finite, one step."""
        callers, me = self.engine.callers, get_ident()
        callers[me] = callers.get(me, 0) + 1  # as in `Access.call`, which would be a call more
        try:
            self.catch_up_for(arguments)
            values, gradients = self.measure(arguments, gradients_needed=True)
            finite = math.isfinite(values["loss"])
            products = self.products(arguments) if finite else ()
        finally:
            callers[me] -= 1
            if not callers[me]:
                del callers[me]
        if gradients is not None and finite:
            self.step(gradients, products)
        return values

    def products(self, arguments: tuple[Any, ...]) -> Sequence[Any]:
        """Hessian-vector products on a batch, one a parameter, if the method uses them; else an empty tuple."""
        return () if self.form_products is None else self.form_products(self.objective, arguments)

    def catch_up_for(self, arguments: tuple[Any, ...]) -> None:
        """Catch up the rows that the loss and the monitors are going to read."""
        if self.touches is not None:
            for name, indices in self.touched(arguments, self.touches).items():
                self.engine.catch_up(self.position_of(name), f"touches: indices of {name!r}", indices)
        if self.engine.behind and (self.touches is None or self.monitors.custom):
            self.flush()
            if not self._told_of_flushing:
                self._told_of_flushing = True
                logger.info(
                    "all rows are caught up before each loss: iterate(touches=...) tells which ones it reads (monitors "
                    "of your own may read any)"
                )

    @staticmethod
    def touched(arguments: tuple[Any, ...], touches: Touches) -> Mapping[str, Any]:
        """What `touches` says of the rows that the loss is going to read."""
        found = touches(*arguments)
        try:
            if isinstance(found, Mapping):
                return dict(found)
        except UNREADABLE as error:
            refuse_unreadable("the result of touches", error)
            raise
        raise TypeError(f"touches must return a dict name -> indices, not {type(found).__name__}")

    def run_updates(self, arguments: tuple[Any, ...]) -> None:
        """Carry out the user's own updates, after a step."""
        if self.updates:
            self.flush()
            self.engine.call(self.updates.carry_out, self.params.given, arguments)

    # Runs

    @property
    def best(self) -> Best | None:
        return self.ledger.best

    @property
    def history(self) -> History:
        return self.ledger.history

    @property
    def steps(self) -> int:
        self.take_answers(tell=False)
        return self.ledger.steps

    def begin_run(self, run: Run) -> None:
        """Make `run` the run under way, ending another one first; it goes on where a loaded file left off."""
        self.engine.refuse_within("iterate")
        self.end_unfinished_run()
        if run.checkpoints is not None:
            self.everywhere("the beginning of a run", run.checkpoints.begin)
        with self.engine.changing("iterate"):
            lasting, overlay = self.divided(run.hyper)
            begun = {"run": self.recorded({**lasting, **overlay}), "end": self.recorded(lasting)}
            take_up, run.take_up = run.take_up, None
            if take_up is not None:
                take_up()
            loaded = self._run_to_resume
            if loaded is not None:
                unfinished = "progress" in loaded
                positions = checkpoint.positions(run.datasets, loaded["datasets"], strict=unfinished)
                if unfinished:
                    if run.checkpoints is None or not run.checkpoints.resume:  # which has told of them
                        self._tell_of_hyper_of_run(loaded.get("hyper", {}), run.hyper)
                    run.resume(loaded)
                elif "ended" in loaded and run.checkpoints is not None and run.checkpoints.resume:
                    run.take_end(loaded["ended"])
                for data, state in positions:
                    data.restore(state)
            self.configure(*self.divided(run.hyper))
            self._begun = begun
            self._loaded, self._run, self._datasets, self.touches = None, run, run.datasets, run.touches
            self.ledger.stopped_because = None

    def is_under_way(self, run: Run) -> bool:
        """Whether this run has begun and has not ended."""
        return self._run is run

    def end_run(self, run: Run, reason: str, restores: bool, outcome: str) -> None:
        """Restore the best parameters, if `restores`, and the hyperparameters from before the run."""
        if self._run is not run:
            return
        with self.engine.changing("the end of a run"), whole():
            self._run = self.touches = None
            self.flush(tell=False)  # what has ended the run may be an error of its own
            self.ledger.stopped_because = reason
            if restores:
                self.ledger.restore_best(self.params.arrays)
                self.note_displacement()
            for data in run.datasets.values():
                data.end_epoch()
            self.configure(self.hyper, {})
        logger.info("iteration ended (%s): %s", reason, outcome)

    def end_unfinished_run(self) -> None:
        """End the run under way, if there is one, as if its loop had been left."""
        if self._run is not None:
            self._run.close()

    def give_up_unfinished_run(self, what: str) -> None:
        """End the run under way without validating or restoring parameters, which `what` is about to replace."""
        with self.engine.changing(what):
            self.engine.changes += 1  # so that the run ends without calling the loss
            self.end_unfinished_run()

    def remember_best(self, loss: float, monitors: Monitored, epoch: int) -> None:
        """Keep a copy of the parameters as the best."""
        with self.engine.lock:
            self.params.refuse_moved()
            self.flush()
            with whole():
                self.ledger.remember_best(self.params, loss, monitors, epoch)

    # What is kept of it

    @property
    def _run_to_resume(self) -> dict[str, Any] | None:
        """The state of the loaded run, if nothing has been changed since it was loaded."""
        loaded = self._loaded
        return loaded.run if loaded is not None and loaded.changes == self.engine.changes else None

    def take_up(self, run: dict[str, Any] | None) -> None:
        """Let the next run go on from the state `run` of a saved one."""
        self._loaded = None if run is None else Loaded(run, self.engine.changes)

    def unfinished(self) -> dict[str, Any]:
        """The state of the run under way, or of the run to be resumed; else the positions of the latest Datasets."""
        if self._run is not None:
            in_force = self.recorded({**self.hyper, **self.overlay})
            overlay = {name: in_force[name] for name in self.overlay if name in in_force}
            state = {**self._run.state(), "datasets": checkpoint.describe(self._datasets)}
            return {**state, "hyper": overlay, "begun": self._begun["run"]}
        return self._run_to_resume or {"datasets": checkpoint.describe(self._datasets)}

    def save_to(
        self, path: array_file.Target, run: Mapping[str, Any] | None = None, among_checkpoints: bool = False
    ) -> None:
        """Write everything to a file, with the state of the run as `unfinished` gives it, or with `run` in its place.

        It is gathered under the lock, and written without it, if there is memory for a copy. `among_checkpoints` says
        that the file is one of those that a run writes to its folder.
        """
        with self.engine.lock:
            self.params.refuse_moved()
            self.flush()
            hyper = self.recorded(self.hyper)
            contents = writing.gathered(
                self.engine, self.own_ledger, self.unfinished() if run is None else run, hyper, self.updates
            )
            if not writing.are_copied(contents, self.params):
                self.write(contents, path, among_checkpoints)
                return
        self.write(contents, path, among_checkpoints)

    def write(self, contents: writing.Writable, path: array_file.Target, among_checkpoints: bool) -> None:
        """Write what has been gathered of this process to a file, which is replaced as a whole."""
        contents.write(path)

    def save_checkpoint(self, path: str) -> None:
        """Write everything to a file among the checkpoints of the run."""
        self.save_to(path, among_checkpoints=True)

    def save_end_to(self, path: array_file.Target, ended: Mapping[str, Any]) -> None:
        """Write everything to a file, with how the run has ended that was the latest."""
        positions = checkpoint.describe(self._datasets)
        run = {"datasets": positions, "ended": ended, "begun": self._begun["end"]}
        self.save_to(path, run, among_checkpoints=True)

    def export_to(self, path: Any) -> None:
        """Write the parameters alone to a file in the format of safetensors."""
        with self.engine.lock:
            self.params.refuse_moved()
            self.flush()
            export(self.params, path)

    @property
    def own_ledger(self) -> Ledger:
        """Counts, history and, of the best parameters, what this process steps."""
        return self.ledger

    def refuse_shared(self) -> None:
        """Raise RuntimeError if several processes share the optimizer, which therefore cannot be pickled."""

    def recorded(self, hyper: Mapping[str, Any]) -> hyper_record.Record:
        """Hyperparameters as files hold them."""
        return hyper_record.recorded(self.rule, hyper, self.params.names)

    def _tell_of_hyper_of_run(self, of_run: Mapping[str, Any], hyper: Mapping[str, Any]) -> None:
        """Warn of hyperparameters that the saved run had been given, and that differ in the run that resumes it."""
        here = self.recorded({**self.hyper, **hyper})
        found = hyper_record.differences({**here, **of_run}, here, self.params.names, only=of_run)
        if found:
            hyper_record.warn(
                f"the iteration that was saved had other hyperparameters than are in force here: {', '.join(found)}"
            )

    def contents_of(self, path: array_file.Target) -> Contents:
        """The contents of a file, or of the newest in a folder."""
        folder = folder_at(path)
        return Contents(path) if folder is None else newest_in(folder, numbered_files.files_in(folder), Contents)

    def fitted(self, contents: Contents, settings: Sequence[Settings], strict: bool) -> checkpoint.Saved:
        """Those contents of a file that fit, with these settings; see `Contents.fitted`."""
        return contents.fitted(self.engine, settings, self.ledger, strict, self.updates.arrays)

    def take(self, saved: checkpoint.Saved, hyper: dict[str, Any], overlay: dict[str, Any]) -> None:
        """Take over everything that was saved or, if something is refused, nothing."""
        engine = self.engine
        with engine.changing("load"), whole():
            self.flush(tell=False)
            slots, late, ledger = engine.state.slots, engine.state.late, self.ledger
            try:
                self.everywhere("load", partial(checkpoint.make_room, saved, engine))
                self.ledger = saved.ledger
                self.configure(hyper, overlay)
            except BaseException:
                engine.state.slots, engine.state.late, self.ledger = slots, late, ledger
                raise
            checkpoint.apply(saved, engine)
            self.forget_untold()
            self.updates.restore(saved.updates)
