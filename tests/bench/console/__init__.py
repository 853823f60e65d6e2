"""A month of a large bridge in PostgreSQL, and the time that each page takes over it."""
