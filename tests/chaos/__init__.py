"""Everything dies at random moments, and an independent reader counts."""
