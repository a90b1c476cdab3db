"""The scratch folder of a run: its log, the state to resume from, and the best checkpoint if one may be needed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError

__all__ = ["RunFolder"]


class RunFolder:
    """Files of an unfinished run, beside its output folder.

    Args:
        path: scratch folder; created if absent.
        identity: everything that the run depends on; a folder with the state of a different run is refused.

    Raises:
        ConfigError: the folder holds the state of a run with a different recipe, model or data; the message shows the
            differences.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.log = path / "unlearning.jsonl"
        self.state = path / "state.pt"
        self.chosen = path / "chosen.pt"
        path.mkdir(parents=True, exist_ok=True)
        told = path / "identity.json"
        if told.is_file() and (self.state.is_file() or self.chosen.is_file()):
            changed = _differences(json.loads(told.read_text(encoding="utf-8")), dict(identity))
            if changed:
                raise ConfigError(
                    f"{path} holds an interrupted run that differs ({'; '.join(changed)}): repeat it unchanged, "
                    "or remove that folder to start over"
                )
        told.write_text(json.dumps(identity, indent=2), encoding="utf-8")

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state to resume from; a process killed at any moment leaves either the old or the new state."""
        _write(state, self.state)

    def load(self) -> dict[str, Any] | None:
        """Return the state to resume from, or None; the log is truncated to that state."""
        if not self.state.is_file():
            self.log.unlink(missing_ok=True)
            return None
        state: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.is_file() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= state["step"]]
        self.log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        return state

    def keep(self, weights: Mapping[str, Any]) -> None:
        """Replace the best checkpoint so far.

        Args:
            weights: trained parameters by name, as they would be saved.
        """
        _write(weights, self.chosen)

    def kept(self) -> dict[str, Any]:
        """Load the best checkpoint so far."""
        weights: dict[str, Any] = torch.load(self.chosen, map_location="cpu", weights_only=True)
        return weights

    def remove(self) -> None:
        """Remove the folder once the run is complete."""
        shutil.rmtree(self.path)


def _write(content: Mapping[str, Any], path: Path) -> None:
    scratch = path.with_suffix(".part")
    torch.save(dict(content), scratch)
    os.replace(scratch, path)


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Return the keys with different values, as "optimizer.lr: 1e-05 → 2e-05"."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [line for k in keys for line in _differences(old.get(k), new.get(k), f"{where}.{k}" if where else k)]
    return [] if old == new else [f"{where}: {_short(old)} → {_short(new)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:12] + "…"
