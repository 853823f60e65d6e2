"""Registers the pages where the project has django-unfold, which they are built with."""

from __future__ import annotations

from django.apps import apps

if apps.is_installed("unfold"):
    from resilience import registered  # noqa: F401 - registering is its effect
