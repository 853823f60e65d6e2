"""A vendor that does not exist, as docs/adding-a-vendor.md says to add one."""
