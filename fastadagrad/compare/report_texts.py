"""What the report says in words: how the comparison was made, and what its words mean."""

from __future__ import annotations

import html
from collections.abc import Iterator

from ..support.plurals import plural
from .material import Material
from .result_table import FIRST, notes
from .summary import GOOD, LEAST_GAP


def introduction(material: Material) -> str:
    """How many runs of what there were, and what was held equal."""
    plan = material.plan
    several = len(plan.rates) > 1
    ends = f"from {plan.rates[0]:g} to {plan.rates[-1]:g}" if several else f"of {plan.rates[0]:g}"
    rated = f"{plural(len(plan.rates), 'learning rate')} {ends}"
    if plan.added:
        rated += ", and more beyond these where the best was at their end"
    diverged = sum(line.diverged for line in material.lines)
    failed = sum(line.failed for line in material.lines)
    ended = f"{diverged} diverged" + (f" and {failed} failed" if failed else "")
    return (
        f"{plural(len(plan.methods), 'method')}, {rated}, {plural(plan.seeds, 'seed')}: "
        f"{plural(len(material.runs), 'run')}, of which {ended}. Every method had the same start values, order of "
        "data, epochs and rates; those that take none ran once a seed. The best rate of each is chosen with hindsight, "
        "by the losses shown."
    )


def remarks(material: Material) -> str:
    """What is to be said of the tables: marks, failures, and what differs from the papers, as a list."""
    found = [note for note in notes(material.plan, material.lines) if not note.startswith(f"{FIRST}:")]
    items = "".join(f"<li>{html.escape(note)}</li>" for note in found)
    if not found:
        return ""
    opened = " open" if any(line.failed for line in material.lines) else ""
    return f'<details{opened}><summary>Remarks on the tables</summary><ul class="faint">{items}</ul></details>'


def definitions(tau: float) -> Iterator[str]:
    """The words of tables and figures, with where they come from."""
    left = "(f - f_best) / (f_start - f_best)"
    terms = {
        "left to gain": f"{left}, f the validation loss, f_start that of the start and f_best the lowest there is, "
        "where the problem knows it, else the lowest of all runs with the same seed, of any method and rate, in any "
        f"epoch. Differences of {LEAST_GAP:g} or less are ties.",
        "mean rank": "The mean of a method's places on all problems; methods that are tied share theirs.",
        "final loss": "Validation loss after the last epoch, median over the seeds, with the best learning rate: the "
        "one for which this median is lowest, of those with the fewest failed runs. A run that diverged counts as an "
        "infinite loss, and one that failed, with an error that is none of arithmetic, not at all. Nothing is stopped "
        "early, and no earlier parameters are restored.",
        "to target": f"Until {tau:g} of the loss is left to gain (Mor\u00e9 and Wild 2009), with the best rate; median "
        "over the seeds; \u201cnever\u201d where half of them or more do not get there. Seconds are the "
        "processor's, of training only.",
        "good rates": "Those around the best, and how many powers of ten they span, for which the median of what is "
        f"left to gain is at most {GOOD:g}; \u201cat least\u201d where they reach the end of the grid.",
        "us a step": "Microseconds of one update alone, its gradient given, on one thread: median of many turns.",
        "bytes of state a parameter": "What the method keeps for each element of the parameters.",
        "how much is left at the end": "The share of problems and seeds in which at most so much of the loss is left "
        "to gain after the last epoch: a profile without a target. A failed run has not got there, here and below.",
        "how soon": "The share of problems and seeds in which a method gets to the target within a factor of what the "
        "fastest method takes: a performance profile (Dolan and Mor\u00e9 2002).",
    }
    yield "<h2>What the words mean</h2><dl>"
    yield from (f"<dt>{html.escape(term)}</dt><dd>{html.escape(text)}</dd>" for term, text in terms.items())
    yield "</dl>"
