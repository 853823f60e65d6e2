"""Telling staff of alerts outside of the console: by e-mail and by signed webhook."""

from __future__ import annotations
