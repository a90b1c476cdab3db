"""What a suite is made of: leaves (one task each), corpora (what attacks and unlearners train on), attacks.

Nothing here imports torch, datasets or lm-eval: a suite is a description that the harness, the unlearning loop and the
leaderboard all read.
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
Role = Literal["forget", "utility", "privacy", "report"]
HigherMeans = Literal["more_knowledge", "less_knowledge", "more_utility"]


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask of a model; see `harness.requests` for what each kind answers.

    Attributes:
        kind: "generate" (greedy continuation), "token_scores" (log-probability and greedy match per token),
            "token_cut" (text cut to n tokens by the model's own tokenizer), or lm-eval's own "loglikelihood" of
            options["text"] after the prompt, answered (sum of log-probabilities, whether all tokens are greedy).
        prompt: the text the model is conditioned on ("" for none).
        options: JSON-serialisable details of that kind.
    """

    kind: RequestKind
    prompt: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """How the per-document values of one metric become one number, and how to read it.

    Attributes:
        name: key in `Leaf.score` and in the results file.
        aggregate: list of per-document values → number.
        higher_is_better: what lm-eval prints an arrow for; for forget metrics this is False.
        higher_means: what a larger value says about the model.
        role: "forget" and "utility" metrics enter the score, "privacy" and "report" are shown.
        floor: value of a model that knows nothing (chance level for multiple choice).
        stderr: "mean" for `metrics.means.mean_stderr`, or (values, their clusters) → standard error, or None.
    """

    name: str
    aggregate: Callable[[Sequence[Any]], float]
    higher_is_better: bool
    higher_means: HigherMeans
    role: Role
    floor: float = 0.0
    stderr: Literal["mean"] | Callable[[Sequence[Any], Sequence[str]], float] | None = "mean"


class Source(Protocol):
    """Where rows come from: the hub, a local mirror, or the package."""

    def rows(self, config: str, split: str) -> list[dict[str, Any]]:
        """Rows of one split, in dataset order.

        Raises:
            DataError: the data are missing or malformed; the message names the dataset, the config and the remedies.
        """
        ...


class Leaf(Protocol):
    """One task: documents, what is asked about each, and the score of the answers."""

    @property
    def name(self) -> str:
        """Unique in its suite; the task is called `<suite>_<name>`."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every key that `score` can return, in the order of the results table."""
        ...

    @property
    def gives(self) -> frozenset[Given]:
        """What registered metrics of one document can read here, see `metrics.document.Reading.gives`."""
        ...

    def docs(self, source: Source) -> list[dict[str, Any]]:
        """Documents in dataset order; a "cluster" key names the unit that a bootstrap resamples."""
        ...

    def requests(self, doc: dict[str, Any]) -> list[Request]:
        """What the model is asked about one document; the first prompt is the one that is hashed and logged."""
        ...

    def target(self, doc: dict[str, Any]) -> str:
        """The reference answer, for logs."""
        ...

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """What registered metrics of one document read; None for a leaf that gives nothing."""
        ...

    def score(self, doc: dict[str, Any], answers: list[Any]) -> dict[str, Any]:
        """Per-document value of every metric, from the answers in the order of `requests`; unscored ones are None."""
        ...


class LeafDefaults:
    """The members of `Leaf` for leaves whose answers are no text or tokens that a registered metric could read."""

    __slots__ = ()

    @property
    def gives(self) -> frozenset[Given]:
        """Nothing."""
        return frozenset()

    def reading(self, doc: dict[str, Any], answers: list[Any]) -> Reading | None:
        """None."""
        return None


@runtime_checkable
class Comparing(Protocol):
    """A leaf that compares the model with the retrain model, whose measurements lie in a reference file."""

    def against(self, reference: str) -> Leaf:
        """The same leaf with another reference file."""
        ...

    def refuse(self, fingerprint: str) -> None:
        """Refuse to compare the retrain model with itself.

        Args:
            fingerprint: of the model's weights, "" when unknown.

        Raises:
            DataError: the fingerprint is that of the reference.
        """
        ...


@dataclass(frozen=True, slots=True)
class Suite:
    """What is forgotten, how that is measured, and what is done to the weights before measuring again.

    Attributes:
        name: "muse_books", "tofu_forget10", "nano_books", …
        version: frozen together with data, prompts, metrics and attack parameters; printed into every result.
        leaves: in the order of the results table.
        source: data directory (a local mirror, or None for the default) → where rows come from.
        corpora: source → forget and retain text for attacks and unlearners.
        attacks: the standard set of `<name>_robust`, by name; "none" first.
        curve: the attacks of `<name>_curve`.
        attack_defaults: attack family → parameters that this suite sets unless the user does.
        dataset: where the rows live, for messages ("muse-bench/MUSE-Books").
        embedded: whether data and models come with the package, so that controls can be trained on the spot.
        clean: name of the group that runs the suite unattacked; "" for the suite's own name.
        extra: leaves that are in no group, because their data are not everywhere.
        series: the group of all unattacked suites that measure successive stages of one criterion
            ("muse_news_scal"), or "". Leaves of such suites bear no tag, because their data are not in every mirror.
    """

    name: str
    version: str
    leaves: tuple[Leaf, ...]
    source: Callable[[str | None], Source]
    corpora: Callable[[Source], Corpora]
    attacks: tuple[str, ...]
    curve: tuple[str, ...] = ()
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

    def leaf(self, name: str) -> Leaf:
        """The leaf of that name.

        Raises:
            UnknownNameError: there is none.
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
"""Suite name → suite; what is registered is a function without arguments that returns it."""
