from __future__ import annotations

from tests.core.conftest import core, pair

__all__ = ["core", "pair"]
