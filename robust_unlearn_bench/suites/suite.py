"""Parts of a suite: leaves (one task each), corpora (text that attacks and unlearners train on) and attacks.

This module imports neither torch nor datasets nor lm-eval: a suite is a description that the harness, the unlearning
loop and the leaderboard all read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ..errors import UnknownNameError
from ..metrics.document import Given, Reading
from ..registry import Registry
from .corpus import Corpora

__all__ = ["SUITES", "Comparing", "Leaf", "LeafDefaults", "Metric", "Request", "Source", "Suite"]

RequestKind = Literal["generate", "token_scores", "token_cut", "loglikelihood"]
Role = Literal["forget", "holds", "utility", "privacy", "report"]
HigherMeans = Literal["more_knowledge", "less_knowledge", "more_utility"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model; see `harness.token_requests` for the answer to each kind.

    Attributes:
        kind: "generate" (greedy continuation), "token_scores" (log-probability and greedy match per token),
            "token_cut" (text cut to n tokens by the model's own tokenizer), or lm-eval's own "loglikelihood" of
            options["text"] after the prompt, answered by (sum of log-probabilities, whether all tokens are greedy).
        prompt: text that the model is conditioned on ("" for none).
        options: JSON-serialisable options of that kind.
    """

    kind: RequestKind
    prompt: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a leaf: how per-document values become one number, and how to interpret it.

    Attributes:
        name: key in `Leaf.score` and in the results file.
        aggregate: function from the list of per-document values to a number.
        higher_is_better: direction of the arrow that lm-eval prints; False for forget metrics.
        higher_means: meaning of a larger value.
        role: "forget" (what the model says of the forget text), "holds" (what its likelihoods still show of it) and
            "utility" metrics enter the score; "privacy" and "report" metrics are only shown.
        floor: value of a model that knows nothing (chance level for multiple choice).
        stderr: "mean" for `metrics.means.mean_stderr`, a function (values, clusters) → standard error, or None.
    """

    name: str
    aggregate: Callable[[Sequence[Any]], float]
    higher_is_better: bool
    higher_means: HigherMeans
    role: Role
    floor: float = 0.0
    stderr: Literal["mean"] | Callable[[Sequence[Any], Sequence[str]], float] | None = "mean"


class Source(Protocol):
    """Source of rows: the hub, a local mirror, or the package."""

    def rows(self, config: str, split: str) -> list[dict[str, Any]]:
        """Return the rows of one split, in dataset order.

        Raises:
            DataError: the data are missing or malformed; the message names the dataset, the config and the remedies.
        """
        ...


class Leaf(Protocol):
    """One task: documents, the requests for each, and the score of the answers."""

    @property
    def name(self) -> str:
        """Name of the leaf, unique in its suite; the task is called `<suite>_<name>`."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that `score` returns, in the order of the results table."""
        ...

    @property
    def gives(self) -> frozenset[Given]:
        """Kinds of input for registered per-document metrics, see `metrics.document.Reading.gives`."""
        ...

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Return the documents in dataset order; a "cluster" key names the unit that a bootstrap resamples."""
        ...

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """Return the requests for one document; the first prompt is the one that is hashed and logged."""
        ...

    def target(self, doc: dict[str, Any]) -> str:
        """Return the reference answer, for logs."""
        ...

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """Return the input for registered per-document metrics, or None for a leaf that has none."""
        ...

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Return each metric's value for one document, None if unscored; answers are in the order of `requests`."""
        ...


class LeafDefaults:
    """Members of `Leaf` for leaves whose answers contain no input for registered per-document metrics."""

    __slots__ = ()

    @property
    def gives(self) -> frozenset[Given]:
        """Empty set: no registered metric can be computed."""
        return frozenset()

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """Return None."""
        return None


@runtime_checkable
class Comparing(Protocol):
    """A leaf that compares a model with the retrain model, whose measurements are stored in a reference file."""

    def against(self, reference: str) -> Leaf:
        """Return this leaf with another reference file."""
        ...

    def refuse(self, fingerprint: str) -> None:
        """Refuse to compare the retrain model with itself.

        Args:
            fingerprint: fingerprint of the model's weights, "" if unknown.

        Raises:
            DataError: the fingerprint equals that of the reference.
        """
        ...


@dataclass(frozen=True, slots=True)
class Suite:
    """An unlearning task: the text to forget, how forgetting is measured, and the attacks to measure it under.

    Attributes:
        name: name of the suite: "muse_books", "tofu_forget10", "nano_books", …
        version: common version of data, prompts, metrics and attack parameters, written into every result.
        leaves: leaves in the order of the results table.
        source: function from a data directory (a local mirror, or None for the default) to a source of rows.
        corpora: function from a source to the forget and retain text for attacks and unlearners.
        attacks: names of the standard attacks of `<name>_robust`, "none" first.
        probes: attack → names of the leaves that are measured under it; an attack that is not listed is measured on all.
        former: earlier version of the suite → names of its standard attacks, all leaves each (`<name>_robust_v1`).
        curve: names of the attacks of `<name>_curve`.
        attack_defaults: parameters by attack family that this suite sets unless the user does.
        dataset: name of the dataset, for messages ("muse-bench/MUSE-Books").
        embedded: whether data and models come with the package, so that controls can be trained on the spot.
        clean: name of the group that runs the suite unattacked; "" for the suite's own name.
        extra: leaves that are in no group, because not every mirror has their data.
        series: the group of all unattacked suites that measure successive stages of one criterion
            ("muse_news_scal"), or "". Leaves of such suites have no tag, because not every mirror has their data.
    """

    name: str
    version: str
    leaves: tuple[Leaf, ...]
    source: Callable[[str | None], Source]
    corpora: Callable[[Source], Corpora]
    attacks: tuple[str, ...]
    curve: tuple[str, ...] = ()
    probes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attack_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dataset: str = ""
    embedded: bool = False
    clean: str = ""
    extra: tuple[Leaf, ...] = ()
    series: str = ""

    @property
    def clean_group(self) -> str:
        """Name of the group that runs the suite unattacked."""
        return self.clean or self.name

    def under(self, attack: str) -> tuple[Leaf, ...]:
        """Return the leaves that are measured under an attack."""
        chosen = self.probes.get(attack)
        return self.leaves if chosen is None else tuple(leaf for leaf in self.leaves if leaf.name in chosen)

    def leaf(self, name: str) -> Leaf:
        """Return the leaf with the given name.

        Raises:
            UnknownNameError: there is no such leaf.
        """
        leaves = {leaf.name: leaf for leaf in (*self.leaves, *self.extra)}
        if name not in leaves:
            raise UnknownNameError(f"leaf of suite {self.name}", name, leaves)
        return leaves[name]


SUITES: Registry[Suite] = Registry(
    "suite",
    "suites",
    "robust_unlearn_bench.suites",
    requires=("name", "version", "leaves", "source", "corpora", "attacks"),
    make=lambda define: define(),
)
"""Suites by name; the decorated object is a function without arguments that returns the suite."""
