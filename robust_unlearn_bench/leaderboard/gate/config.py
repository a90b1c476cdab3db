"""What a gate looks at: a TOML file that names every metric, the direction that is worse, and the margin that matters."""

from __future__ import annotations

import math
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ...errors import ConfigError, RecordError
from ...metrics.bootstrap import cluster_draws
from ..record.entry import Entry
from ..record.field_types import AttackName, Key, Strict, explain
from ..record.schema import MetricSpec
from ..record.strict_json import loads, read_bytes
from ..scoring.families import readers
from ..scoring.measure import SCORED_ROLES
from ..scoring.stats import Moments

__all__ = ["Calibration", "Gate", "Gated", "draft", "read_calibration", "read_gate", "worse_direction"]

_MAX_BYTES = 256 * 1024

LEAST_RUNS = 5
"""Runs that a calibration needs."""

SAFE = 2.8
"""A margin below this many run-to-run standard deviations fails reruns of an unchanged model: 2.8 ≈ 1.96·√2."""


class Gated(Strict):
    """One metric under one attack.

    Attributes:
        worse: the direction in which a change is a regression; the suite decides, so that a wrong one is refused.
        margin: the smallest change that matters, a fraction.
    """

    task: Key
    metric: Key
    attack: AttackName = "none"
    worse: Literal["up", "down"] | None = None
    margin: Annotated[float, Field(gt=0, lt=1)]

    @property
    def cell(self) -> str:
        """The cell in words: task, metric, attack."""
        return f"{self.task} {self.metric} {self.attack}"


class Gate(Strict):
    """A gate's configuration.

    Attributes:
        alpha: chance of a false alarm, over all metrics together.
        power: wanted chance of noticing a change as large as the margin; for the advice on inconclusive metrics.
        inconclusive: whether "cannot tell" fails the job.
        calibration: file that `rub gate calibrate` wrote, beside the configuration.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    power: Annotated[float, Field(gt=0.5, lt=1)] = 0.8
    inconclusive: Literal["fail", "warn"] = "fail"
    calibration: str | None = None
    metric: Annotated[list[Gated], Field(min_length=1, max_length=200)]


class Calibration(Strict):
    """Run-to-run standard deviations of one reference model.

    Attributes:
        suite: name and version.
        runs: how many.
        sd: "task metric attack" → standard deviation of the value.
    """

    suite: list[str]
    runs: Annotated[int, Field(ge=LEAST_RUNS)]
    sd: dict[str, Annotated[float, Field(ge=0)]]


def read_gate(path: Path) -> tuple[Gate, Calibration | None]:
    """Read a configuration and the calibration that it names.

    Raises:
        ConfigError: the file is missing, not TOML, or a key or value is wrong; or a margin is below 2.8 standard
            deviations of the calibration.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, false for a name that is too long as well
        raise ConfigError(f"{str(path)[:300]}: no such file; write one with `rub gate init BASELINE --out gate.toml`")
    try:
        gate = Gate.model_validate(_toml(path))
    except ValidationError as error:
        raise ConfigError(explain(error, str(path))) from error
    cells = [gated.cell for gated in gate.metric]
    if twice := next((cell for cell in cells if cells.count(cell) > 1), None):
        raise ConfigError(f"{path}: {twice} is gated twice; keep one [[metric]] block")
    calibration = read_calibration(path.parent / gate.calibration) if gate.calibration else None
    for gated in gate.metric if calibration else ():
        sd = calibration.sd.get(gated.cell) if calibration else None
        if sd is not None and gated.margin < SAFE * sd:
            raise ConfigError(
                f"{path}: margin = {gated.margin:g} of {gated.cell} is below {SAFE:g} × its run-to-run standard "
                f"deviation {sd:.4f}; reruns of an unchanged model would fail: use at least {_up(SAFE * sd):g}"
            )
    return gate, calibration


def read_calibration(path: Path) -> Calibration:
    """Read what `rub gate calibrate` wrote.

    Raises:
        ConfigError: it is not valid.
    """
    try:
        return Calibration.model_validate(loads(read_bytes(path, _MAX_BYTES), str(path)))
    except ValidationError as error:
        raise ConfigError(explain(error, str(path))) from error
    except RecordError as error:
        raise ConfigError(str(error)) from error


def worse_direction(spec: MetricSpec) -> Literal["up", "down"]:
    """The direction in which a metric gets worse: up if it measures the knowledge that should be gone, else down."""
    return "up" if spec.higher_means == "more_knowledge" else "down"


def draft(entry: Entry, margin: float = 0.05) -> str:
    """A commented configuration that gates every scored metric of a baseline record, of both families and of utility.

    Forget and utility metrics are gated under every attack, metrics of role "holds" under those that do not train on the
    forget text, as the scorer reads them; an attack under which a task was not measured is left out.
    """
    record = entry.record
    lines = [
        f"# Gate for {record.suite.name} {record.suite.version}; baseline {record.submission_id}.",
        "#",
        "# A metric has regressed when it is worse by more than chance and the change may be as large as `margin`;",
        "# it held when the change is surely smaller than `margin`. Anything between is inconclusive.",
        "",
        "alpha = 0.05            # chance of a false alarm, over all metrics together (Holm)",
        "power = 0.8             # wanted chance of noticing a change of one margin",
        'inconclusive = "fail"   # or "warn"',
        '# calibration = "calibration.json"   # from `rub gate calibrate`; margins below 2.8 SD are then refused',
    ]
    attacks = {a.name: a.id for a in record.attacks}
    readable = [a.name for a in readers(list(attacks.values()))["without the text"]]
    measured = {(cell.task, cell.metric, cell.attack) for cell in record.results}
    for task, described in record.suite.tasks.items():
        for metric, spec in described.metrics.items():
            if spec.role not in SCORED_ROLES or spec.aggregate == "other":
                continue
            worse = worse_direction(spec)
            for attack in readable if spec.role == "holds" else attacks:
                if (task, metric, attack) not in measured:
                    continue
                lines += ["", "[[metric]]", f'task = "{task}"', f'metric = "{metric}"', f'attack = "{attack}"']
                lines += [f'worse = "{worse}"', f"margin = {margin:g}{_advice(entry, task, metric, attack)}"]
    return "\n".join(lines) + "\n"


def _advice(entry: Entry, task: str, metric: str, attack: str) -> str:
    """What change the documents can show, guessed from the baseline alone: an upper bound, as pairing helps."""
    if task not in entry.items:
        return ""
    moments = Moments.of(entry.items[task], [metric])
    values = moments.values(cluster_draws(moments.clusters, moments.strata, 500, 0)).get((attack, metric))
    if values is None:
        return ""
    spread = float(values.std(ddof=1)) * math.sqrt(2)
    return f"   # {len(moments.clusters)} clusters of documents show a change of about {_up(2.5 * spread):g} at worst"


def _up(value: float) -> float:
    return math.ceil(value * 100) / 100


def _toml(path: Path) -> dict[str, Any]:
    name = "tomllib" if find_spec("tomllib") else "tomli"  # Python 3.10 has no parser of its own
    try:
        parser = import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{path}: Python 3.10 needs a TOML parser; pip install tomli") from error
    try:
        found: dict[str, Any] = parser.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OverflowError) as error:  # of the parser, of the encoding, or of a number
        raise ConfigError(f"{path}: not TOML ({error}); see `rub gate init`") from error
    return found
