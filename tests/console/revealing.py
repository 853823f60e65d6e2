"""Revealing a person's values, as the page's form does."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse


def reveal(
    client: Client, key: object, *, reason: str = "called back", **query: str
) -> Any:
    """Send the form; returns the answer."""
    url = reverse("admin:biometrics_subject_reveal", args=[key])
    return client.post(url, {"reason": reason}, query_params=query)
