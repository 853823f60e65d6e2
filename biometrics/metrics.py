"""Every metric of the bridge, in one place. Labels never hold ids."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

DELIVERIES = Counter(
    "biobridge_deliveries",
    "Webhook requests answered, by vendor and outcome.",
    ["vendor", "outcome"],
)
INTAKE_SECONDS = Histogram(
    "biobridge_intake_seconds",
    "From the whole body read to the answer.",
    ["vendor"],
    buckets=_FAST,
)
INTAKE_BATCH_ROWS = Histogram(
    "biobridge_intake_batch_rows",
    "Deliveries committed together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)
INTAKE_IN_FLIGHT = Gauge(
    "biobridge_intake_in_flight",
    "Webhook requests being worked on.",
    multiprocess_mode="livesum",
)
SECRET_SLOT_USED = Counter(
    "biobridge_secret_slot_used",
    "Deliveries proven by each active secret, by its place in the list, from 0.",
    ["vendor", "slot"],
)
EVENTS = Counter(
    "biobridge_events",
    "Events by vendor, record type and what became of them.",
    ["vendor", "record_type", "outcome"],
)
DELIVERIES_FINISHED = Counter(
    "biobridge_deliveries_finished",
    "Stored deliveries that came to rest, by vendor and status.",
    ["vendor", "status"],
)
PROCESS_SECONDS = Histogram(
    "biobridge_process_batch_seconds",
    "Steps 4 to 7 for one batch of deliveries.",
    buckets=_FAST,
)
ALERTS = Counter(
    "biobridge_alerts",
    "HRV alert events by kind and severity.",
    ["kind", "severity"],
)
PUBLISHED = Counter(
    "biobridge_published",
    "Records committed to Kafka, by topic.",
    ["topic"],
)
PUBLISH_SECONDS = Histogram(
    "biobridge_publish_batch_seconds",
    "One batch from claim to mark.",
    buckets=_FAST,
)
PUBLISH_DOUBTS = Counter(
    "biobridge_publish_doubts",
    "Batches whose outcome had to be asked for.",
)
LEDGER_IMBALANCE = Gauge(
    "biobridge_ledger_imbalance",
    "Deliveries and messages that the ledger cannot account for; must be 0.",
    multiprocess_mode="mostrecent",
)
VENDOR_REQUESTS = Counter(
    "biobridge_vendor_requests",
    "Calls to vendors' APIs by outcome.",
    ["vendor", "outcome"],
)
