"""What is checked before a record may stand on the board."""

from __future__ import annotations
