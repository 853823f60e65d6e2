#!/usr/bin/env python
"""Django's command line for the bridge."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from auren.devstack import surroundings


def main() -> None:
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "auren.settings")
    surroundings.adopt(command="".join(sys.argv[1:2]))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
