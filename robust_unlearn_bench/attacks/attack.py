"""What an attack is: a frozen dataclass of parameters that changes a model's weights in place."""

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
"""What an attack reports of itself, JSON-serialisable; `flags` lists documented warnings."""


@dataclasses.dataclass(frozen=True, slots=True)
class AttackContext:
    """What an attack may use besides the model.

    Attributes:
        tokenizer: the model's Hugging Face tokenizer.
        window: the model's context length in tokens.
        corpora: forget and retain text of the suite, or None for a task that belongs to no suite.
        general: text that belongs to no suite (for benign fine-tuning, and for calibration where there are no corpora).
        progress: called with (done, total, what) from time to time.
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
        trains: whether trainable float weights are needed (quantised models are refused).
        splits: whether the attack trains on one half of the forget text, so that only the other half is scored.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    trains: ClassVar[bool]
    splits: ClassVar[bool]

    @property
    def trajectory(self) -> tuple[Any, ...] | None:
        """Equal for attacks that are stations of one run, so that `stages` serves them all; None for any other attack."""
        ...

    def own_text(self) -> Corpus | None:
        """Text that the attack reads besides what its context holds, or None when its parameters name none.

        Raises:
            DataError: it cannot be read.
        """
        ...

    def halves(self, forget: Corpus) -> Halves:
        """The half of the forget text that an attack that `splits` trains on, and the half to measure on."""
        ...

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Change the model's weights in place."""
        ...

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Carry out an attack that has a trajectory, and yield at every stop with the model as it would be saved.

        Args:
            model: changed in place; close the generator before its weights are restored.
            context: what the attack may use.
            stops: values of the parameter that numbers the attack, ascending.
        """
        ...


class AttackDefaults:
    """The members of `Attack` that most attacks leave as they are; a base class for their dataclasses."""

    __slots__ = ()
    version: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    splits: ClassVar[bool] = False

    @property
    def trajectory(self) -> tuple[Any, ...] | None:
        """None: this attack shares its run with no other."""
        return None

    def own_text(self) -> Corpus | None:
        """None: this attack reads nothing else."""
        return None

    def halves(self, forget: Corpus) -> Halves:
        """Never asked for, because the attack does not split."""
        raise NotImplementedError(f"{type(self).__name__} does not split the forget text")

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Never asked for, because there is no trajectory."""
        raise NotImplementedError(f"{type(self).__name__} has no trajectory")


ATTACKS: Registry[type[Attack]] = Registry(
    "attack",
    "attacks",
    "robust_unlearn_bench.attacks",
    requires=("name", "version", "trains", "splits", "trajectory", "own_text", "halves", "apply", "stages"),
)
"""Attack family → class. What the decorator says:

    label     how a user writes the attack: `relearn{k}_retain` is numbered by its parameter k; without it, the name
    budget    unit of that number where it is an amount of work that the attacker spends ("steps", "epochs")
"""

NAME_A_SUITE = "name one (`suite: muse_books` beside the attack in the task's YAML, `--suite muse_books` of rub eval and rub attack)"
"""What to do where an attack needs the text of a suite, as the end of a sentence."""
