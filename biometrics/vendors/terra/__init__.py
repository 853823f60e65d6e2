"""Terra: one webhook for the data of many providers."""

from __future__ import annotations
