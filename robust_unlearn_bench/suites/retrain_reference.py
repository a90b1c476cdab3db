"""Reference files: the retrain model's truth ratio of each question, with which forget quality compares a model.

A reference file is JSON with the suite and version it was measured on, the model, and the log truth ratio of every
forget question, keyed by the hash of its content. `rub reference build` makes one from a retrain model's results.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ..errors import DataError

__all__ = [
    "FIRST",
    "Reference",
    "build_reference",
    "from_tofu_log",
    "item_id",
    "load_reference",
    "read_reference",
    "warn_missing",
]

log = logging.getLogger("robust_unlearn_bench")

FORMAT = 1

FIRST = 300
"""Number of questions per set that TOFU's authors evaluate."""


@dataclass(frozen=True)
class Reference:
    """Truth ratios of one retrain model.

    Attributes:
        format: version of the file format, currently 1.
        suite: name of the suite.
        suite_version: version of the suite.
        model: name of the retrain model.
        fingerprint: fingerprint of the retrain model's weights, "" if unknown (published logs).
        first300: whether only the first 300 questions are covered, as in the logs that TOFU's authors published.
        log_truth_ratio: log R of each question, keyed by `item_id`.
        auc_min40: Min-40 % AUC of the retrain model if measured, with which PrivLeak compares.
    """

    format: int
    suite: str
    suite_version: str
    model: str
    fingerprint: str
    first300: bool
    log_truth_ratio: Mapping[str, float]
    auc_min40: float | None = None

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True, "allow_inf_nan": False}

    def require(self, docs: Sequence[Mapping[str, Any]]) -> None:
        """Check that the reference covers every question that it should.

        Raises:
            DataError: a question is missing.
        """
        covered = docs[:FIRST] if self.first300 else docs
        missing = sum(item_id(doc) not in self.log_truth_ratio for doc in covered)
        if missing:
            raise DataError(
                f"the reference of {self.suite} (model {self.model}) lacks {missing} of {len(covered)} forget "
                "questions; build it again with the same data"
            )

    def refuse(self, fingerprint: str) -> None:
        """Refuse to compare the retrain model with itself.

        Raises:
            DataError: the fingerprint equals that of the reference.
        """
        if fingerprint and fingerprint == self.fingerprint:
            raise DataError(
                f"the model is the retrain model {self.model} that the reference was measured on, so its forget "
                "quality is meaningless; unset RUB_REFERENCE when measuring the retrain model"
            )

    def write(self, path: Path) -> None:
        """Write the file; equal references give equal bytes."""
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def item_id(doc: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a question with all its answers, ignoring the document's other columns."""
    content = [doc["question"], doc["answer"], doc["paraphrased_answer"], list(doc["perturbed_answer"])]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def load_reference(suite: str, version: str, path: str | None = None) -> Reference | None:
    """Load the requested reference, or return None if none was requested.

    Args:
        suite: name of the suite to measure.
        version: version of the suite.
        path: reference file; None for the one that $RUB_REFERENCE names.

    Raises:
        DataError: the file is missing or malformed, or belongs to another suite or version.
    """
    chosen = path or os.environ.get("RUB_REFERENCE")
    if not chosen:
        return None
    reference = read_reference(Path(chosen).expanduser())
    theirs, ours = (reference.suite, reference.suite_version), (suite, version)
    if theirs != ours:
        raise DataError(
            f"reference {chosen} is for {theirs[0]} version {theirs[1]}, but {ours[0]} version {ours[1]} is measured; "
            "build one for that suite and version with `rub reference build`"
        )
    return reference


@cache
def warn_missing(suite: str) -> None:
    """Warn once per suite that forget quality is left out, and say how to get it."""
    log.warning(
        "%s: forget quality is left out because it needs the retrain model's truth ratios: evaluate the retrain model "
        "with --log_samples, run `rub reference build RESULTS --out FILE`, and set RUB_REFERENCE=FILE",
        suite,
    )


def read_reference(path: Path) -> Reference:
    """Read a reference file.

    Raises:
        DataError: the file is missing or malformed, or has another format.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"there is no reference file {path}; build one with `rub reference build`") from error


@lru_cache(maxsize=8)
def _read(path: Path, changed: int) -> Reference:
    from pydantic import TypeAdapter, ValidationError

    try:
        reference = TypeAdapter(Reference).validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            f"reference {path} is malformed at {where} ({first['msg']}); build it with `rub reference build`"
        ) from error
    if reference.format != FORMAT:
        raise DataError(f"reference {path} has format {reference.format}, and this version reads {FORMAT}; rebuild it")
    if not reference.log_truth_ratio:
        raise DataError(f"reference {path} holds no question; build it with `rub reference build`")
    return reference


def build_reference(results: Path, suite: str | None = None) -> Reference:
    """Build a reference from the files that `lm_eval --log_samples --output_path …` wrote for a retrain model.

    Args:
        results: results_*.json file, or folder that contains one at any depth (the newest is used).
        suite: suite to use if the results contain several.

    Raises:
        DataError: there are no results, or they come from a --limit run or lack an unattacked forget task with samples.
    """
    files = [results] if results.is_file() else sorted(results.rglob("results_*.json"), key=lambda p: p.name)
    if not files:
        raise DataError(f"there is no results_*.json in {results}; run lm_eval with --output_path and --log_samples")
    file = files[-1]
    table = json.loads(file.read_text(encoding="utf-8"))
    if (table.get("config") or {}).get("limit") is not None:
        raise DataError(f"{file} is of a --limit run, but a reference needs every question; run again without --limit")
    for task, config in table["configs"].items():
        report = (config.get("metadata") or {}).get("robust_unlearn_bench") or {}
        wanted = suite in (None, report.get("suite"))
        if wanted and report.get("leaf") == "forget" and (report.get("attack") or {}).get("name") == "none":
            samples = file.with_name(f"samples_{task}_{file.stem.removeprefix('results_')}.jsonl")
            if not samples.is_file():
                raise DataError(f"{file} has no samples of {task} next to it; run lm_eval again with --log_samples")
            name, model = str(table.get("model_name") or "unknown"), report.get("model") or {}
            auc = (table["results"].get(f"{report['suite']}_privleak") or {}).get("auc_min40,none")
            reference = _collect(
                ((row["doc"], row.get("log_truth_ratio")) for row in map(json.loads, samples.open(encoding="utf-8"))),
                suite=str(report["suite"]),
                suite_version=str(report["suite_version"]),
                model=Path(name).name if Path(name).is_absolute() else name,
                fingerprint=str(model.get("fingerprint") or ""),
            )
            return replace(reference, auc_min40=auc)
    raise DataError(
        f"{file} holds no unattacked forget task of {suite or 'a TOFU suite'}; evaluate the retrain model on it"
    )


def from_tofu_log(
    published: Mapping[str, Any], docs: Sequence[Mapping[str, Any]], *, suite: str, suite_version: str, model: str
) -> Reference:
    """Build a reference from an evaluation log that TOFU's authors published.

    Args:
        published: the log's "eval_log_forget.json" part.
        docs: documents of the suite's forget leaf, in dataset order.
        suite: name of the suite.
        suite_version: version of the suite.
        model: name of the model that was evaluated.

    Raises:
        DataError: the log does not cover exactly the first rows of these documents.
    """
    true, false = published["avg_paraphrased_loss"], published["average_perturb_loss"]
    expected = min(FIRST, len(docs))
    if sorted(map(int, true)) != list(range(expected)):
        raise DataError(f"the log of {model} does not cover the first {expected} rows of {suite}; use another log")
    pairs = ((docs[int(i)], true[i] - sum(false[i]) / len(false[i])) for i in true)
    first300 = expected < len(docs)
    return _collect(pairs, suite=suite, suite_version=suite_version, model=model, fingerprint="", first300=first300)


def _collect(
    pairs: Iterable[tuple[Mapping[str, Any], float | None]],
    *,
    suite: str,
    suite_version: str,
    model: str,
    fingerprint: str,
    first300: bool = False,
) -> Reference:
    ratios: dict[str, float] = {}
    for doc, value in pairs:
        key = item_id(doc)
        if key in ratios:
            raise DataError(f"question {doc['question']!r:.80} occurs twice in {suite}; remove the duplicate")
        if value is None or value != value:
            raise DataError(f"question {doc['question']!r:.80} has no truth ratio; the retrain model must score it")
        ratios[key] = value
    if not ratios:
        raise DataError(f"the results of {model} on {suite} hold no question; run lm_eval again with --log_samples")
    return Reference(FORMAT, suite, suite_version, model, fingerprint, first300, ratios)
