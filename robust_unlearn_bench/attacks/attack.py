"""The protocol of an attack: a frozen dataclass of parameters that changes a model's weights in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..registry import Registry
from ..suites.corpus import Corpora, Corpus

if TYPE_CHECKING:
    from .relearn.split import Halves

__all__ = ["ATTACKS", "NAME_A_SUITE", "Attack", "AttackContext", "AttackDefaults", "Diagnostics"]

Diagnostics = dict[str, Any]
"""Report of an attack, JSON-serialisable; the entry `flags` lists documented warnings."""


@dataclasses.dataclass(frozen=True, slots=True)
class AttackContext:
    """Everything that an attack may use besides the model.

    Attributes:
        tokenizer: the model's Hugging Face tokenizer.
        window: the model's context length in tokens.
        corpora: forget and retain text of the suite, or None for a task that belongs to no suite.
        general: text that belongs to no suite, for benign fine-tuning and, without corpora, for calibration.
        progress: callback that receives (done, total, what) from time to time.
    """

    tokenizer: Any
    window: int
    corpora: Corpora | None
    general: Corpus
    progress: Callable[[int, int, str], None] = lambda done, total, what: None


class Attack(Protocol):
    """A frozen dataclass whose fields are the attack's parameters, all of which have defaults.

    Attributes:
        name: registry name of the family ("gptq", "relearn_retain").
        version: raised whenever results can change.
        trains: whether the attack trains the model, which decides the advice given when memory runs out.
        splits: whether the attack trains on one half of the forget text, so that only the other half is scored.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    trains: ClassVar[bool]
    splits: ClassVar[bool]

    @property
    def trajectory(self) -> tuple[Any, ...] | None:
        """Key of a shared run: attacks with equal keys are stations of one run, served by one call of `stages`.

        None if the attack shares its run with no other.
        """
        ...

    def own_text(self) -> Corpus | None:
        """Return the text that the attack reads in addition to its context, or None if its parameters name none.

        Raises:
            DataError: the text cannot be read.
        """
        ...

    def halves(self, forget: Corpus) -> Halves:
        """Split the forget text into the half to train on and the half to measure on, for an attack that `splits`."""
        ...

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Change the model's weights in place."""
        ...

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Run an attack that has a trajectory, and yield at every stop with the model in the state to be saved.

        Args:
            model: model to change in place; close the generator before its weights are restored.
            context: everything that the attack may use besides the model.
            stops: values of the parameter that numbers the attack, ascending.
        """
        ...


class AttackDefaults:
    """Base class with the members of `Attack` that most attacks leave unchanged."""

    __slots__ = ()
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    splits: ClassVar[bool] = False

    @property
    def trajectory(self) -> tuple[Any, ...] | None:
        """None, because this attack shares its run with no other."""
        return None

    def own_text(self) -> Corpus | None:
        """Return None, because this attack reads nothing besides its context."""
        return None

    def halves(self, forget: Corpus) -> Halves:
        """Raise, because this attack does not split the forget text."""
        raise NotImplementedError(f"{type(self).__name__} does not split the forget text")

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Raise, because this attack has no trajectory."""
        raise NotImplementedError(f"{type(self).__name__} has no trajectory")


ATTACKS: Registry[type[Attack]] = Registry(
    "attack",
    "attacks",
    "robust_unlearn_bench.attacks",
    requires=("name", "version", "trains", "splits", "trajectory", "own_text", "halves", "apply", "stages"),
)
"""Attack families and their classes. Keyword arguments of the decorator:

    label     the attack as users write it; `relearn{k}_retain` takes its number from parameter k (default: the name)
    budget    unit of that number if it measures the work that the attacker spends ("steps", "epochs")
    trains_on text that the attack shows to the model: "forget", "half" (of the forget text; scored on the other half),
              "retain" or "general" (default: none)
"""

NAME_A_SUITE = "name one (`suite: muse_books` next to the attack in the task's YAML, `--suite muse_books` for rub eval and rub attack)"
"""Remedy for an attack that needs the text of a suite, worded as the end of a sentence."""
