"""Task classes for the `class:` key of a task YAML.

`AttackedTask` is any lm-eval task whose requests are answered by the attacked model; `LeafTask` is one whose documents,
requests and scores come from a `Leaf` of one of our suites. Keys in addition to lm-eval's own:

    attack: gptq4        attack on the weights (default: none)
    suite: muse_books    suite whose forget and retain text the attack uses
    leaf: verbmem        LeafTask only
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from .. import __version__
from ..errors import ConfigError
from ..metrics.means import mean_stderr
from ..suites import SUITES, Leaf, Metric, Suite
from ..suites.more_metrics import MoreMetrics
from ..suites.suite import Comparing
from .lm_eval_versions import class_for, new_instance, predicts_only, set_metrics
from .plan import plan_attack
from .session import AttackSession, Tag

__all__ = ["AttackedTask", "LeafTask"]

log = logging.getLogger("robust_unlearn_bench")

REQUEST = "rub_attacked"


def _answer_attacked(lm: Any, instances: Sequence[Any]) -> list[Any]:
    """Answer the attacked requests of all selected tasks together; the one method added to lm-eval's `LM`."""
    return AttackSession(lm).run(instances)


setattr(LM, REQUEST, _answer_attacked)


class AttackedTask(ConfigurableTask):  # type: ignore[misc]  # lm-eval is untyped
    """An lm-eval task under an attack.

    Args:
        config: content of the task's YAML with overrides, which may contain `attack` and `suite`.

    Raises:
        ConfigError: the attack, suite or leaf cannot be read.
    """

    def __new__(cls, config: dict[str, Any]) -> AttackedTask:
        """Make the task of the class that lm-eval has for its output type."""
        made: AttackedTask = object.__new__(class_for(cls, config))
        return made

    def __init__(self, config: dict[str, Any]) -> None:
        own = {key: config[key] for key in ("attack", "suite", "leaf") if config.get(key) is not None}
        config = {key: value for key, value in config.items() if key not in {"class", "attack", "suite", "leaf"}}
        metadata = config.get("metadata") or {}
        data_dir = metadata.get("data_dir") or os.environ.get("RUB_DATA") or None
        snapshot = str(metadata.get("snapshot") or os.environ.get("RUB_SNAPSHOT") or "cpu")
        self.plan = plan_attack(own.get("attack", "none"), own.get("suite"), data_dir, snapshot)
        self._base_name = str(config["task"])
        self._prepare(own, config)
        super().__init__(config=config)

    def _prepare(self, own: dict[str, Any], config: dict[str, Any]) -> None:
        """Prepare the configuration; a hook for subclasses, called before lm-eval's own constructor."""
        if "leaf" in own:
            raise ConfigError(f"task {self._base_name} has a 'leaf' key: its class must be harness.task.LeafTask")

    @property
    def task_name(self) -> str:
        """Name of the task: `muse_books_verbmem`, or `muse_books_verbmem__gptq4` under an attack."""
        return self._base_name if self.plan.spec.is_none else f"{self._base_name}__{self.plan.name}"

    @property
    def _qualified_name(self) -> str:
        """Name in the results: lm-eval 0.5 would put the group before it, so that one task had many names."""
        return self.task_name

    def build_all_requests(
        self, *, limit: int | None = None, samples: list[int] | None = None, world_size: int = 1, **kwargs: Any
    ) -> None:
        """Build lm-eval's requests, then tag each with its attack.

        Tagging comes after lm-eval's request cache, which knows nothing of attacks.

        Args:
            limit: as in lm-eval.
            samples: as in lm-eval.
            world_size: number of processes that share the documents.
            **kwargs: lm-eval's other arguments, `rank` among them.

        Raises:
            ConfigError: there are fewer documents than processes; raised on every rank, because the others would wait
                forever for a rank without requests.
        """
        share = {"limit": limit, "samples": samples, "world_size": world_size}
        if world_size > 1:
            count = sum(1 for _ in self.doc_iterator(limit=limit, samples=samples))
            if count < world_size:
                raise ConfigError(
                    f"task {self.task_name} has {count} document{'s' * (count != 1)} for {world_size} processes, and "
                    "each needs one: start fewer processes, or leave the task out"
                )
        super().build_all_requests(**share, **kwargs)
        for instance in self._instances:
            instance.rub = Tag(self.plan, self._kind(instance))
            instance.request_type = REQUEST

    def _kind(self, instance: Any) -> str:
        return str(instance.request_type)

    def dump_config(self) -> dict[str, Any]:
        """Return lm-eval's config with our report in `metadata.robust_unlearn_bench`."""
        config: dict[str, Any] = super().dump_config()
        config["metadata"] = {**(config.get("metadata") or {}), "robust_unlearn_bench": self._describe()}
        return config

    def _describe(self) -> dict[str, Any]:
        plan = self.plan
        report = dict(plan.report)
        return {
            "suite": plan.suite.name if plan.suite else None,
            "suite_version": plan.suite.version if plan.suite else None,
            "leaf": self._base_name,
            "model": report.pop("model", None),
            "data": report.pop("data", {}),
            "attack": {"name": plan.name, "digest": plan.spec.digest, "config": plan.spec.config, **report},
            "package": __version__,
        }


class LeafTask(AttackedTask):
    """An lm-eval task for a leaf of one of our suites."""

    def _prepare(self, own: dict[str, Any], config: dict[str, Any]) -> None:
        suite = self.plan.suite
        if suite is None or "leaf" not in own:
            raise ConfigError(f"task {self._base_name} needs the keys 'suite' and 'leaf'")
        self.suite: Suite = suite
        self.leaf: Leaf = suite.leaf(str(own["leaf"]))
        if (reference := (config.get("metadata") or {}).get("reference")) and isinstance(self.leaf, Comparing):
            self.leaf = self.leaf.against(str(reference))
        self._refuse = self.leaf.refuse if isinstance(self.leaf, Comparing) else lambda fingerprint: None
        if more := (config.get("metadata") or {}).get("metrics"):
            self.leaf = MoreMetrics(self.leaf, [more] if isinstance(more, str) else list(more))
        config.setdefault("output_type", "generate_until")
        config.setdefault("test_split", "test")
        config["num_fewshot"] = 0
        if config["output_type"] == "generate_until":
            config.setdefault("generation_kwargs", {"until": [], "do_sample": False})

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._truncated = self._unscored = 0
        self._clusters: list[str] = []
        metrics = {metric.name: metric for metric in self.leaf.metrics}
        set_metrics(
            self,
            {name: Aggregation(metric, self._clusters) for name, metric in metrics.items()},
            {name: metric.higher_is_better for name, metric in metrics.items()},
        )

    def build_all_requests(
        self, *, limit: int | None = None, samples: list[int] | None = None, world_size: int = 1, **kwargs: Any
    ) -> None:
        """Build the requests, and record all documents' clusters in the order in which lm-eval joins the ranks."""
        super().build_all_requests(limit=limit, samples=samples, world_size=world_size, **kwargs)
        shares = [
            self.doc_iterator(rank=rank, limit=limit, samples=samples, world_size=world_size)
            for rank in range(world_size)
        ]
        self._clusters[:] = [str(doc.get("cluster", f"document {i}")) for share in shares for i, doc in share]

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Take the documents from the suite's source instead of lm-eval's loader."""
        from datasets import Dataset

        docs = self.leaf.docs(self.suite.source(self.plan.data_dir))
        self._scored = self.plan.scored(self.leaf, docs)
        self.dataset = {self.config.test_split: Dataset.from_list(docs)}

    def doc_to_text(self, doc: dict[str, Any], doc_to_text: Any = None) -> str:
        """Return the prompt of the first request."""
        return self.leaf.requests(doc)[0].prompt

    def doc_to_target(self, doc: dict[str, Any], doc_to_target: Any = None) -> str:
        """Return the reference answer."""
        return self.leaf.target(doc)

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        """Return the prompt that the protocol fixes, without few-shot examples of lm-eval."""
        return self.doc_to_text(doc)

    def construct_requests(
        self,
        doc: dict[str, Any],
        ctx: str,
        *,
        apply_chat_template: bool = False,
        chat_template: Callable[..., str] | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Return one instance per request of the leaf, typed by its kind until `build_all_requests` tags it."""
        asked = {"task_name": self.task_name, **kwargs}
        target = self.doc_to_target(doc)
        instances = []
        for idx, request in enumerate(self.leaf.requests(doc)):
            options = dict(request.options)
            message = options.pop("chat", None)
            prompt = request.prompt
            if apply_chat_template and chat_template is not None:
                if message is None:
                    _warn_once(f"{self._base_name}: the protocol fixes the prompt; the chat template is not applied")
                else:
                    prompt = chat_template([{"role": "user", "content": message}])
            arguments = (prompt, options["text"]) if request.kind == "loglikelihood" else (prompt, options)
            instances.append(new_instance(request.kind, doc, arguments, idx, target, asked))
        return instances

    def process_results(self, doc: dict[str, Any], results: list[Any]) -> dict[str, Any]:
        """Return the value of every metric for one document."""
        if predicts_only(self):
            return {"bypass": None}
        if self.plan.spec.is_none:
            self._refuse(str((self.plan.report.get("model") or {}).get("fingerprint") or ""))
        if not self._scored(doc):
            return dict.fromkeys(metric.name for metric in self.leaf.metrics)
        values = self.leaf.score(doc, results)
        self._truncated += any(isinstance(result, dict) and result.get("truncated") for result in results)
        self._unscored += all(value is None for value in values.values())
        return values

    def _describe(self) -> dict[str, Any]:
        metrics = {
            m.name: {"role": m.role, "higher_means": m.higher_means, "floor": m.floor} for m in self.leaf.metrics
        }
        cut = {"truncated_documents": self._truncated, "unscored_documents": self._unscored}
        return {**super()._describe(), "leaf": self.leaf.name, "metrics": metrics, **cut}


class Aggregation:
    """Aggregation of per-document values to a number and its standard error, without unscored documents (None).

    Args:
        metric: metric to aggregate.
        clusters: cluster of each document, in the order of the values.
    """

    def __init__(self, metric: Metric, clusters: Sequence[str]) -> None:
        self.metric = metric
        self.clusters = clusters

    def __call__(self, values: Sequence[Any]) -> float:
        """Compute the metric over all documents."""
        return self.metric.aggregate([value for value in values if value is not None])

    def stderr(self, values: Sequence[Any]) -> float | str:
        """Compute the standard error over clusters of documents, or return lm-eval's "N/A"."""
        kept = [(value, own) for value, own in zip(values, self.clusters, strict=True) if value is not None]
        if self.metric.stderr is None or len(kept) < 2:
            return "N/A"
        how = mean_stderr if self.metric.stderr == "mean" else self.metric.stderr
        found = how([value for value, _ in kept], [own for _, own in kept])
        return found if math.isfinite(found) else "N/A"


class _MixedDirections(logging.Filter):
    """Filter for lm-eval's warning, one per group and metric, that one of our groups mixes directions.

    The groups are meant to: knowledge of the forget text should go, knowledge of the retain text should stay.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to keep a record."""
        found = re.search(r"in group (\S+) are not consistent", record.getMessage())
        return not (found and found[1].partition("_")[0] in {name.partition("_")[0] for name in SUITES})


logging.getLogger("lm_eval.evaluator_utils").addFilter(_MixedDirections())

_warned: set[str] = set()


def _warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        log.warning(message)
