"""The differences between the supported versions of lm-eval, 0.4.12 to 0.5.0.dev1; no other module knows of them.

                     0.4                                     0.5
    task classes     one, which reads `output_type`          one for each `output_type`
    metrics          dictionaries of the task                `Metric` objects of the task's `Scorer`
    standard error   of lm-eval's own aggregations only      whatever the `Scorer` says
    instance         (task, document, repeats) in a tuple    named fields, with the reference answer
    name of a task   its `task_name`                         qualified by its group, unless a property says otherwise
    group YAML       foreign keys go to all children         foreign keys are ignored: a child names its own

The last line is why the task YAML of this package names the attack beside every child.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

__all__ = ["Aggregate", "class_for", "new_instance", "predicts_only", "set_metrics", "task_index"]

_SCORERS = find_spec("lm_eval.scorers") is not None
"""Whether this is 0.5, where a task scores through `lm_eval.scorers.Scorer`."""


class Aggregate(Protocol):
    """Aggregation of the values of all documents, with a standard error of its own."""

    def __call__(self, values: Sequence[Any]) -> float:
        """Compute the metric over all documents."""
        ...

    def stderr(self, values: Sequence[Any]) -> float | str:
        """Compute the standard error, or return "N/A"."""
        ...


def class_for(cls: type, config: Mapping[str, Any]) -> type:
    """Return the class of which a task is made: `cls`, or `cls` on top of the class for the configured output type.

    Args:
        cls: subclass of `ConfigurableTask`; one that builds its own requests is returned as it is.
        config: content of the task's YAML.
    """
    if not _SCORERS or cls.construct_requests is not ConfigurableTask.construct_requests:  # type: ignore[attr-defined]
        return cls
    from dataclasses import fields

    from lm_eval.config.task import TaskConfig

    known = {field.name for field in fields(TaskConfig)}
    # Built as lm-eval builds it, because a prompt format can change the output type.
    return _on_top(cls, str(TaskConfig(**{key: config[key] for key in known & config.keys()}).output_type))


@cache
def _on_top(cls: type, output_type: str) -> type:
    from lm_eval.api import task as tasks
    from lm_eval.api.task._generation import GenerateTask

    bases = (GenerateTask, tasks.LoglikelihoodTask, tasks.LoglikelihoodRollingTask, tasks.MultipleChoiceTask)
    base = next(base for base in bases if base.OUTPUT_TYPE == output_type)
    return type(cls.__name__, (cls, base), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def new_instance(
    kind: str, doc: Mapping[str, Any], arguments: tuple[Any, ...], index: int, target: str, asked: Mapping[str, Any]
) -> Any:
    """Return one request.

    Args:
        kind: kind of request.
        doc: document that it is about.
        arguments: prompt and options.
        index: number of the request among those of its document.
        target: reference answer.
        asked: what lm-eval passed to `construct_requests` beside document and context: in 0.4 `metadata`, which is
            (task, document, repeats), and in 0.5 `doc_id`.
    """
    if not _SCORERS:
        return Instance(kind, doc, arguments, index, metadata=asked["metadata"])
    return Instance(kind, doc, arguments, asked["task_name"], doc_id=asked["doc_id"], idx=index, target=target)


def set_metrics(task: Any, aggregations: Mapping[str, Aggregate], higher_is_better: Mapping[str, bool]) -> None:
    """Replace the metrics of a task, whose `process_results` gives their values.

    Args:
        task: task to change.
        aggregations: aggregation of each metric.
        higher_is_better: direction of each metric.
    """
    if _SCORERS:
        task._scorers = [_scorer(aggregations, higher_is_better, task.OUTPUT_TYPE)]
        return
    task._metric_fn_list = dict.fromkeys(aggregations)
    task._metric_fn_kwargs = {name: {} for name in aggregations}
    task._aggregation_list = dict(aggregations)
    task._higher_is_better = dict(higher_is_better)


def predicts_only(task: Any) -> bool:
    """Return whether the run only collects answers (`--predict_only`)."""
    return task._has_metric("bypass") if _SCORERS else "bypass" in task._metric_fn_list


def task_index(manager: Any) -> dict[str, Any]:
    """Return the index of a task manager, task, group or tag → entry; entries that are added to it are found."""
    index: dict[str, Any] = manager._index
    return index


def _scorer(aggregations: Mapping[str, Aggregate], higher_is_better: Mapping[str, bool], output_type: str) -> Any:
    """Return a scorer of 0.5 that aggregates as told, with the aggregations' own standard errors."""
    from lm_eval.api.metrics import Metric
    from lm_eval.scorers import Scorer

    class OwnErrors(Scorer):  # type: ignore[misc]  # lm-eval is untyped
        def aggregate(
            self, reduced_docs: Mapping[int, Any], bootstrap_iters: int | None = 100000, **options: Any
        ) -> tuple[dict[str, Any], int]:
            found, count = super().aggregate(reduced_docs, bootstrap_iters=0, **options)
            for name, aggregation in aggregations.items() if bootstrap_iters else ():
                values = [doc[name] for doc in reduced_docs.values() if name in doc]
                if values:
                    found[f"{name}_stderr,{self.name}"] = aggregation.stderr(values)
            return found, count

    metrics = [
        Metric(
            name,
            fn=_scored_by_the_task,
            aggregation=aggregation,
            higher_is_better=higher_is_better[name],
            output_type={output_type},
        )
        for name, aggregation in aggregations.items()
    ]
    return OwnErrors.from_dict({"name": "none", "filter": [], "metric_list": metrics}, output_type=output_type)


def _scored_by_the_task(references: Any, predictions: Any) -> float:
    raise AssertionError("the task's process_results gives the value")


def _add_own_stderr() -> None:
    """Make lm-eval 0.4 print the standard errors of aggregations that have their own.

    0.4 knows standard errors only for its own aggregation functions and offers no way to register one.
    """
    from lm_eval import evaluator_utils

    original: Callable[[Any, int], Any] = evaluator_utils.stderr_for_metric

    def stderr_for_metric(metric: Any, bootstrap_iters: int) -> Any:
        own = getattr(metric, "stderr", None)
        return own if own is not None and bootstrap_iters > 0 else original(metric, bootstrap_iters)

    evaluator_utils.stderr_for_metric = stderr_for_metric


if not _SCORERS:
    _add_own_stderr()
