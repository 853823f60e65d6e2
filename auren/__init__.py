"""The AUREN biometric bridge: wearables' webhooks in, Kafka records out.

This package composes the project; it imports the apps and is imported by none of them.
"""

from __future__ import annotations

__version__ = "0.1.0"
