"""Step 5: what a delivery says becomes events and readings that hold now.

`content` says what a record is and whether two say the same, `revisions` which of them
stands, `storing` writes it down.
"""

from __future__ import annotations
