"""Reading stored deliveries again with today's mapping: plan it, confirm it, do it.

`selection` says which deliveries, `comparing` what would change, `runs` carries it out.

A replayed delivery takes the ordinary way: it becomes due, in its shard's order, and the
workers do the rest. What it says again is told apart by its content, so only what changed
is stored and published. Documents that were fetched for it are used as they lie; what
never came is fetched.
"""

from __future__ import annotations
