"""What every test can ask for. Real servers come from tests/services.py."""

from __future__ import annotations

pytest_plugins = ["tests.services"]
