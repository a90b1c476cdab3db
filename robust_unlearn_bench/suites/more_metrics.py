"""A leaf that reports additional registered metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..metrics.document import METRICS, Given, Reading
from ..metrics.means import mean
from .suite import Leaf, Metric, Request, Source

__all__ = ["MoreMetrics"]


class MoreMetrics:
    """A leaf with additional metrics, which are reported but never scored.

    Args:
        leaf: leaf to extend.
        names: names of registered per-document metrics.

    Raises:
        UnknownNameError: there is no such metric.
        ConfigError: the leaf already has a metric of that name, or does not provide the metric's input.
    """

    def __init__(self, leaf: Leaf, names: Sequence[str]) -> None:
        self.leaf = leaf
        self.names = tuple(dict.fromkeys(names))
        own = [metric.name for metric in leaf.metrics]
        for name in self.names:
            reads = METRICS.facts(name)["reads"]
            if name in own:
                raise ConfigError(f"metric {name!r} is already one of leaf {leaf.name}: leave it out")
            if reads not in {str(given) for given in leaf.gives}:
                given = f"only {', '.join(sorted(leaf.gives))}" if leaf.gives else "no input for such metrics"
                raise ConfigError(f"metric {name!r} needs {reads}, but leaf {leaf.name} provides {given}: leave it out")

    @property
    def name(self) -> str:
        """Name of the leaf."""
        return self.leaf.name

    @property
    def gives(self) -> frozenset[Given]:
        """Kinds of input for registered per-document metrics."""
        return self.leaf.gives

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics of the leaf, then the additional ones."""
        return (*self.leaf.metrics, *map(self._described, self.names))

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the documents of the leaf."""
        return self.leaf.docs(source)

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Return the requests of the leaf."""
        return self.leaf.requests(doc)

    def target(self, doc: dict[str, Any]) -> str:
        """Return the reference answer of the leaf."""
        return self.leaf.target(doc)

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """Return the reading of the leaf."""
        return self.leaf.reading(doc, answers)

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Return the values of the leaf's metrics and of the additional ones."""
        reading = self.leaf.reading(doc, answers)
        assert reading is not None
        return {**self.leaf.score(doc, answers), **{name: METRICS[name](reading) for name in self.names}}

    def _described(self, name: str) -> Metric:
        """Describe an additional metric as reported only; knowledge of retain text counts as utility."""
        more = METRICS.facts(name)["says"] == "more_knowledge"
        if any(metric.role == "utility" for metric in self.leaf.metrics):
            return Metric(name, mean, more, "more_utility" if more else "less_knowledge", "report")
        return Metric(name, mean, not more, "more_knowledge" if more else "less_knowledge", "report")
