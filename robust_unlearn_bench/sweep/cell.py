"""A cell: one resolved configuration. What its numbers depend on, hashed, is its key and the name of its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Cell", "Role"]

FORMAT = 1

Role = Literal["unlearned", "target", "retrain"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One configuration to carry out.

    Attributes:
        suite: name of the suite.
        suite_version: version of the suite.
        role: "unlearned", or the control ("target" or "retrain") that is evaluated as it is.
        model: folder or hub name of the model to start from, or None for the embedded suite's own.
        recipe: name of the recipe as the grid has it, or the role of a control.
        settings: values of the grid's parameters.
        seed: seed of the recipe, or None for a control.
        method: resolved recipe, or None for a control.
        attacks: specs of the attacks.
        attack_configs: resolved attacks, versions included.
        dtype: dtype of the weights in the evaluation.
        limit: number of documents of each task, or None for all.
        batch_size: batch size of the evaluation; no number depends on it but by rounding, so it is not hashed.
        keep_model: keep the unlearned model; not hashed.
        cpus: CPU cores that the cell asks for; not hashed.
        gpus: GPUs that the cell asks for; not hashed.
    """

    suite: str
    suite_version: str
    role: Role
    model: str | None
    recipe: str
    settings: Mapping[str, Any]
    seed: int | None
    method: Mapping[str, Any] | None
    attacks: tuple[str, ...]
    attack_configs: tuple[Any, ...]
    dtype: str = "float32"
    limit: int | None = None
    batch_size: int | str = field(default=1, compare=False)
    keep_model: bool = field(default=False, compare=False)
    cpus: int = field(default=1, compare=False)
    gpus: int = field(default=0, compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What the numbers depend on."""
        names = ("suite", "suite_version", "role", "model", "method", "attack_configs", "dtype", "limit")
        own = asdict(self)
        return {"format": FORMAT, **{name: own[name] for name in names}}

    @property
    def key(self) -> str:
        """First 16 hex digits of the SHA-256 of `identity`."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """The cell in words: `nano_books npo-adam steps=4 seed=0 none,gptq4`."""
        values = [f"{name}={value}" for name, value in self.settings.items()]
        seed = [] if self.seed is None else [f"seed={self.seed}"]
        return " ".join([self.suite, self.recipe, *values, *seed, ",".join(self.attacks)])

    def to_json(self) -> dict[str, Any]:
        """Return the content of `cell.json`."""
        return {"format": FORMAT, "key": self.key, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Cell:
        """Read the content of `cell.json`."""
        fields = {name: value for name, value in content.items() if name not in ("format", "key")}
        return cls(**{**fields, "attacks": tuple(fields["attacks"]), "attack_configs": tuple(fields["attack_configs"])})
