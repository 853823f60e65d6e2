"""Apple HealthKit, pushed by an app on the phone."""

from __future__ import annotations
