"""The static leaderboard site and the exports for other programs."""

from __future__ import annotations
