"""Parts of the drain benchmark."""
