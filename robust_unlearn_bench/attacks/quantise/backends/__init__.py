"""GPTQ of other packages, for cross-checks and packed exports; the packages cannot share an environment.

A backend reads a float checkpoint folder, quantises it on the given calibration windows, and returns the dequantised
weights with the names of the parameters that it does not honour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Backend", "Parameters", "Quantised", "backend"]


@dataclass(frozen=True, eq=False, slots=True)
class Quantised:
    """Result of a backend.

    Attributes:
        weights: name of a linear layer → dequantised W [out, in].
        version: version of the package.
        ignored: parameters of the attack that the backend does not honour.
    """

    weights: Mapping[str, Tensor]
    version: str
    ignored: tuple[str, ...] = ()


class Parameters(Protocol):
    """The parameters of `gptq.GPTQ` that a backend can be asked to honour."""

    @property
    def bits(self) -> int:
        """Number of bits of a weight."""
        ...

    @property
    def group_size(self) -> int:
        """Number of columns that share a step; −1 for the whole row."""
        ...

    @property
    def symmetric(self) -> bool:
        """Whether the grid is symmetric around zero."""
        ...

    @property
    def act_order(self) -> bool:
        """Whether columns are quantised in decreasing order of the Hessian's diagonal."""
        ...

    @property
    def damp(self) -> float:
        """Damping as a fraction of the mean diagonal of the Hessian."""
        ...

    @property
    def block(self) -> int:
        """Number of columns after which corrections are applied to all later columns."""
        ...

    @property
    def static_groups(self) -> bool:
        """Whether the steps of all groups are taken before any correction."""
        ...

    @property
    def true_sequential(self) -> bool:
        """Whether each stage of a block is calibrated on inputs from the quantised stages before it."""
        ...


class Backend(Protocol):
    """A function that quantises a checkpoint folder with the GPTQ of another package."""

    def __call__(self, checkpoint: Path, windows: Sequence[Tensor], attack: Parameters) -> Quantised:
        """Quantise.

        Args:
            checkpoint: folder with float safetensors, config and tokenizer.
            windows: calibration token ids, each [length].
            attack: parameters of the quantisation.

        Raises:
            MissingExtraError: the package is not installed.
        """
        ...


def backend(name: str) -> Backend:
    """The backend of that name: `quantise` of the module beside this one."""
    found: Backend = import_module(f".{name}", __name__).quantise
    return found
