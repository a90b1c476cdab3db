"""The submission record: its fields, files, hashes and history."""

from __future__ import annotations
