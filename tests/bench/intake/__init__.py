"""What the intake benchmark needs: the load, the servers to compare, the report."""
