"""A leaf that reports further registered metrics beside its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..metrics.document import METRICS, Given, Reading
from ..metrics.means import mean
from .suite import Leaf, Metric, Request, Source

__all__ = ["MoreMetrics"]


class MoreMetrics:
    """A leaf with more metrics, which are reported and never scored.

    Args:
        leaf: what is asked and scored.
        names: registered metrics of one document.

    Raises:
        UnknownNameError: there is no such metric.
        ConfigError: the leaf has a metric of that name, or does not ask for what the metric reads.
    """

    def __init__(self, leaf: Leaf, names: Sequence[str]) -> None:
        self.leaf = leaf
        self.names = tuple(dict.fromkeys(names))
        own = [metric.name for metric in leaf.metrics]
        for name in self.names:
            reads = METRICS.facts(name)["reads"]
            if name in own:
                raise ConfigError(f"metric {name!r} is one of leaf {leaf.name} already: leave it out")
            if reads not in {str(given) for given in leaf.gives}:
                given = f"only {', '.join(sorted(leaf.gives))}" if leaf.gives else "nothing that such a metric reads"
                raise ConfigError(f"metric {name!r} reads {reads}, and leaf {leaf.name} gives {given}: leave it out")

    @property
    def name(self) -> str:
        """Name of the leaf."""
        return self.leaf.name

    @property
    def gives(self) -> frozenset[Given]:
        """What a registered metric can read here."""
        return self.leaf.gives

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Those of the leaf, then the further ones."""
        return (*self.leaf.metrics, *map(self._described, self.names))

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Documents of the leaf."""
        return self.leaf.docs(source)

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Requests of the leaf."""
        return self.leaf.requests(doc)

    def target(self, doc: dict[str, Any]) -> str:
        """Reference answer of the leaf."""
        return self.leaf.target(doc)

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """Reading of the leaf."""
        return self.leaf.reading(doc, answers)

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Values of the leaf's metrics and of the further ones."""
        reading = self.leaf.reading(doc, answers)
        assert reading is not None
        return {**self.leaf.score(doc, answers), **{name: METRICS[name](reading) for name in self.names}}

    def _described(self, name: str) -> Metric:
        """Reported; to know text of the retain side is utility."""
        more = METRICS.facts(name)["says"] == "more_knowledge"
        if any(metric.role == "utility" for metric in self.leaf.metrics):
            return Metric(name, mean, more, "more_utility" if more else "less_knowledge", "report")
        return Metric(name, mean, not more, "more_knowledge" if more else "less_knowledge", "report")
