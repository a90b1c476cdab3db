"""The checks that an attack passes before it may stand beside the row that it was found on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...attacks import AttackSpec
from ...errors import RubError
from ..build.attack_figures import attack_figures, found_attack
from ..record.attack_entry import AttackEntry
from ..record.attack_record import Leaked, Span
from ..record.entry import Entry
from ..scoring.external import of_same_weights
from ..store import Anchors, Store
from .finding import Finding
from .own_items import TOLERANCE, inconsistent

__all__ = ["check_attack", "check_attack_for"]


def check_attack_for(store: Store, entry: AttackEntry) -> list[Finding]:
    """Check an attack that is to be added to a leaderboard folder."""
    on = entry.record.on
    return check_attack(entry, store.anchors().get((on.suite, on.suite_version)), store.entries())


def check_attack(entry: AttackEntry, anchors: Anchors | None, rows: Sequence[Entry]) -> list[Finding]:
    """Check an attack that was read without error; errors keep it out, and come first.

    Args:
        entry: the attack with the records behind it.
        anchors: the controls of its suite version, or None when there are none.
        rows: the records that are on the board.
    """
    found = [*_whole(entry), *_spec(entry), *_models(entry, anchors, rows), *_numbers(entry)]
    return sorted(found, key=lambda finding: finding.level != "error")


def _whole(entry: AttackEntry) -> Iterator[Finding]:
    """Each of the three records on its own, and that all are about the same suite and attack."""
    on = entry.record.on
    for role, part in entry.parts.items():
        for finding in inconsistent(part):
            yield Finding(finding.level, f"{role}.{finding.field}", finding.message)
        suite = part.record.suite
        if (suite.name, suite.version) != (on.suite, on.suite_version):
            yield Finding("error", f"{role}.suite", f"{suite.name} {suite.version}, not {on.suite} {on.suite_version}")
        if found_attack(part).config != entry.record.attack.config:
            yield Finding("error", f"{role}.attacks", "put under another attack than the record's")
        if missing := [task for task in part.record.suite.tasks if task not in part.items]:
            yield Finding("error", f"{role}.items", f"no item file for {missing[0]}: its numbers cannot be verified")


def _spec(entry: AttackEntry) -> Iterator[Finding]:
    """That the text of the attack says what its configuration says, and that it can be run here."""
    try:
        spec = AttackSpec.of_config(entry.record.attack.config)
    except RubError as error:
        yield Finding("error", "attack.config", str(error))
        return
    if spec.in_full != entry.record.spec:
        yield Finding("error", "spec", "not the attack of the configuration")
    if spec.digest != entry.record.attack.digest:
        yield Finding("error", "attack.digest", f"{entry.record.attack.digest}, the configuration has {spec.digest}")


def _models(entry: AttackEntry, anchors: Anchors | None, rows: Sequence[Entry]) -> Iterator[Finding]:
    """That the three models are the row and the controls of the board."""
    if entry.record.on.fingerprint != entry.model.record.model.fingerprint:
        yield Finding("error", "on.fingerprint", "not the weights of model/record.json")
    if anchors is None:
        yield Finding("error", "on.suite", "has no anchors here: leakage cannot be scored")
        return
    for role, control in anchors._asdict().items():
        if not of_same_weights(entry.parts[role].record, control.record):
            yield Finding("error", f"{role}.model", f"not the {role} model of this board")
    if not any(of_same_weights(entry.model.record, row.record) for row in rows):
        yield Finding("error", "model.model", "no row of this board has these weights: submit the model first")


def _numbers(entry: AttackEntry) -> Iterator[Finding]:
    """That the leakage and the utility are what the items give."""
    try:
        figures = attack_figures(entry.model, entry.target, entry.retrain)
    except RubError as error:
        yield Finding("error", "leaked", str(error))
        return
    said = {(one.task, one.metric): one for one in entry.record.leaked}
    for one in figures.leaked:
        theirs = said.get((one.task, one.metric))
        if theirs is None or not _same_leak(one, theirs):
            yield Finding("error", f"leaked.{one.task} {one.metric}", "not what the items give; search again")
    if len(said) != len(figures.leaked):
        yield Finding("error", "leaked", "names metrics that the suite does not score")
    if not _same_span(figures.utility, entry.record.utility):
        yield Finding("error", "utility", "not what the items give; search again")
    bound = 1 - entry.record.search.most_lost if entry.record.search else None
    if bound is not None and (figures.utility.value is None or figures.utility.value < bound - TOLERANCE):
        yield Finding("error", "utility", f"below {bound:.2f}, the bound of the search")


def _same_leak(a: Leaked, b: Leaked) -> bool:
    pairs = [(a.model, b.model), (a.retrain, b.retrain), (a.target, b.target)]
    flags = (a.counts, a.chosen) == (b.counts, b.chosen)
    return flags and _same_span(a.leakage, b.leakage) and all(_near(*pair) for pair in pairs)


def _same_span(a: Span, b: Span) -> bool:
    return _near(a.value, b.value) and _near(a.low, b.low) and _near(a.high, b.high)


def _near(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else abs(a - b) <= TOLERANCE
