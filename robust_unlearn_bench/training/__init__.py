"""One training loop and its parts, shared by unlearning, relearning attacks and the nano models."""

from __future__ import annotations
