"""Step 3: deliveries reach the disk before anybody is told that they were accepted."""

from __future__ import annotations
