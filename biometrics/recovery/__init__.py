"""What webhooks never brought: history, reconciliation, and streams gone silent."""

from __future__ import annotations
