"""From a vendor's webhook to a Kafka record, in eight steps.

1. `views`       a webhook comes in: size, method, limit of requests in flight
2. `ingest`      the vendor's adapter proves who sent it
3. `intake`      it is stored, many requests in one commit, before the 2xx
4. `enrich`      documents are fetched for vendors that only notify
5. `normalise`   the adapter turns it into events and readings
6. `alerts`      heart-rate variability is judged, evidence kept
7. `outbox`      one message per event and alert, in the same transaction as 5 and 6
8. `publishing`  messages reach Kafka exactly once, in each person's order

`pipeline` holds the order of steps 4 to 7 and nothing else.
"""

from __future__ import annotations
