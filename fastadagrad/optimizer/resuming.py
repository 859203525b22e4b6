"""Going on from the newest checkpoint in a folder: the file is found, compared with the program, and taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..support.log import logger
from ..support.numbered_files import Checkpoints, Numbered
from . import checkpoint, hyper_record
from .run import Run
from .saved_files import Contents, tell
from .session import Session


def take_up_newest(session: Session, run: Run, checkpoints: Checkpoints) -> None:
    """Let a session take over the newest checkpoint, if there is one, so that `run` goes on from it.

    Hyperparameters are those of the program, except such as the body of the loop has changed since the run began.

    Raises
    ------
    ValueError
        If the file is of another optimizer or of other data; nothing is changed then.
    """
    found = checkpoints.newest(session.contents_of)
    if found is None:
        return
    hyper, overlay = _hyper(session, run, found[1])
    ended = _run_in(found[1]).get("ended")
    if ended is not None and not run.is_over(ended, session.settings_of(hyper, overlay)[1]):
        found = checkpoints.newest(session.contents_of, ends=False)
        if found is None:  # it ended before the first checkpoint was due
            return
        hyper, overlay = _hyper(session, run, found[1])
    _take(session, run, *found, hyper, overlay)


def _run_in(contents: Contents) -> Mapping[str, Any]:
    return contents.header["run"] or {}


def _take(
    session: Session,
    run: Run,
    file: Numbered,
    contents: Contents,
    hyper: dict[str, Any],
    overlay: dict[str, Any],
) -> None:
    settings, _ = session.settings_of(hyper, {})
    session.settings_of(hyper, overlay)  # raises where the two do not go together
    saved = session.fitted(contents, settings, strict=True)
    state = _run_in(contents)
    checkpoint.positions(run.datasets, state.get("datasets", {}), strict="progress" in state)
    of_program = session.recorded(hyper if file.ended else {**hyper, **overlay})
    differing = hyper_record.differences(_in_force(contents), of_program, saved.names)
    if differing:
        tell(
            f"{contents.file} was saved with other hyperparameters than are in force here: {', '.join(differing)}; the "
            "run goes on with those of the program"
        )
    session.take(saved, hyper, {})
    session.take_up(saved.run)
    run.hyper = overlay
    logger.info("going on from %s, after %d steps", contents.file, session.steps)


def _in_force(contents: Contents) -> hyper_record.Record:
    return {**(contents.hyper or {}), **_run_in(contents).get("hyper", {})}


def _hyper(session: Session, run: Run, contents: Contents) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hyperparameters of the program that hold for good, and those of the run, with what the run's body has changed.

    A hyperparameter that the program has as it had it when the run began, and that the file has otherwise, has been
    changed in the run.
    """
    hyper, overlay = session.divided(run.hyper)
    state, file = _run_in(contents), _in_force(contents)
    if contents.header["method"] != session.rule.name:  # which is going to be refused
        return hyper, overlay
    begun = state.get("begun", {})
    here = session.recorded(hyper if "ended" in state else {**hyper, **overlay})
    changed = {
        name: value
        for name, value in file.items()
        if value is not None and name in begun and name in here and value != begun[name] == here[name]
    }  # None stands for a callable, which no file holds
    if not changed:
        return hyper, overlay
    taken = hyper_record.taken(changed, hyper)
    if "groups" in changed and "groups" not in taken:
        taken["groups"] = {}
    kept = {name: taken[name] for name in changed if name in taken}
    return {**hyper, **kept}, {name: value for name, value in overlay.items() if name not in kept}
