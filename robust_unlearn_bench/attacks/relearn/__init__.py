"""Training attacks: fine-tune the unlearned model and see what returns."""

from __future__ import annotations
