"""Drills: what docs/deploy.md says, done to the letter; too long for the suite."""
