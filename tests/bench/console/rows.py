"""The statements that fill PostgreSQL with a month of a large bridge.

The server makes the rows itself: a million deliveries take minutes, not hours. Numbers
in the place of chance: the same arguments give the same counts. `%(…)s` are arguments.
"""

from __future__ import annotations

# 1 in 2,000 is parked, 1 in 10,000 waits for its account, a few are due.
_STATUS = """
CASE WHEN n % 2000 = 7 THEN 'parked' WHEN n % 10000 = 11 THEN 'unlinked'
     WHEN n % 200 = 13 THEN 'ignored' WHEN n > %(deliveries)s - 40 THEN 'pending'
     ELSE 'processed' END
"""
_VENDOR = "(ARRAY['terra', 'oura', 'whoop', 'healthkit'])[1 + p % 4]"
_TYPE = "(ARRAY['sleep', 'daily_activity', 'recovery', 'workout'])[1 + (n / %(people)s) % 4]"
_BODY = """
convert_to(json_build_object('type', 'sleep', 'user', json_build_object('user_id',
'account-' || p), 'data', json_build_array(json_build_object('metadata',
json_build_object('summary_id', 'record-' || n, 'upload_type', 2), 'heart_rate_data',
json_build_object('summary', json_build_object('avg_hrv_rmssd', 40 + n % 30,
'resting_hr_bpm', 50 + n % 20)))))::text, 'UTF8')
"""

STATEMENTS: tuple[tuple[str, str], ...] = (
    (
        "people",
        """
        INSERT INTO biometrics_subject (id, label, created_at)
        SELECT gen_random_uuid(), 'Person ' || lpad(p::text, 6, '0'),
               now() - interval '60 days'
        FROM generate_series(0, %(people)s - 1) p
        """,
    ),
    (
        "connections",
        f"""
        INSERT INTO biometrics_vendorconnection (subject_id, vendor, account_id,
            reference, status, status_reason, scopes, backfill_left, created_at,
            updated_at)
        SELECT id, {_VENDOR}, 'account-' || p, '', CASE WHEN p % 200 = 3
            THEN 'needs_reconnect' ELSE 'active' END, '', '', '[]', created_at, created_at
        FROM (SELECT id, created_at, substr(label, 8)::int p FROM biometrics_subject) s
        ORDER BY p
        """,
    ),
    (
        "deliveries",
        f"""
        INSERT INTO biometrics_webhookdelivery (public_id, vendor, account_id, reference,
            event_type, dedupe_key, shard, origin, body, headers, traceparent, trace,
            secret_slot, received_at, status, attempts, error_code, error, processed_at)
        SELECT gen_random_uuid(), {_VENDOR}, 'account-' || p, '', {_TYPE},
            'key-' || n, p % 16, 'webhook', {_BODY},
            '{{"content-type": "application/json"}}',
            '00-' || md5('t' || n) || '-' || left(md5('s' || n), 16) || '-01',
            'record-' || n, 0, came, {_STATUS}, 1,
            CASE WHEN n % 2000 = 7 THEN (ARRAY['unreadable', 'malformed',
                'contradictory'])[1 + (n / 2000) % 3] ELSE '' END,
            CASE WHEN n % 2000 = 7 THEN 'data: not a list' ELSE '' END,
            CASE WHEN n > %(deliveries)s - 40 THEN NULL
                ELSE came + interval '140 ms' END
        FROM (SELECT n, n % %(people)s p, now() - interval '30 days'
                * (1 - n::float / %(deliveries)s) AS came
              FROM generate_series(1, %(deliveries)s) n) d
        ORDER BY n
        """,
    ),
    (
        "documents",
        """
        INSERT INTO biometrics_deliverydocument (delivery_id, url, status, body, fetched_at)
        SELECT id, '/v2/record/' || id, 200, '{}', received_at + interval '90 ms'
        FROM biometrics_webhookdelivery WHERE vendor IN ('oura', 'whoop') AND id % 4 = 1
        """,
    ),
    (
        "events",
        """
        INSERT INTO biometrics_biometricevent (id, delivery_id, connection_id, subject_id,
            vendor, record_type, record_id, action, revision_stamp, content_sha256,
            mapping_version, status, start, "end", zone_offset, local_date, data, problems,
            created_at)
        SELECT gen_random_uuid(), d.id, c.id, c.subject_id, d.vendor, d.event_type,
            d.trace, 'created', d.received_at, md5(d.trace) || md5(d.trace), 1, 'current',
            d.received_at - interval '8 hours', d.received_at, '+00:00',
            d.received_at::date, json_build_object('readings', json_build_array(
            json_build_object('metric', 'heart_rate_variability_rmssd', 'value',
            40 + d.id % 30, 'unit', 'ms'))), '[]', d.received_at + interval '140 ms'
        FROM biometrics_webhookdelivery d JOIN biometrics_vendorconnection c
            USING (vendor, account_id)
        WHERE d.status = 'processed' ORDER BY d.id
        """,
    ),
    (
        "readings",
        """
        INSERT INTO biometrics_reading (event_id, connection_id, subject_id, record_type,
            record_id, metric, context, value, unit, start, "end", zone_offset, local_date,
            revision_stamp)
        SELECT id, connection_id, subject_id, record_type, record_id, m.metric, '',
            m.value, m.unit, start, "end", zone_offset, local_date, revision_stamp
        FROM biometrics_biometricevent, (VALUES ('resting_heart_rate', 52, '/min'),
            ('sleep_duration', 25200, 's')) m (metric, value, unit)
        WHERE record_type IN ('sleep', 'recovery')
        """,
    ),
    (
        "nights",
        """
        INSERT INTO biometrics_hrvnight (subject_id, series_id, kind, night, record_id,
            is_main, value_ms, rhr_bpm, revision_stamp, severity, verdict, z1, ruleset,
            updated_at)
        SELECT s.id, 'RMSSD:' || c.vendor || ':watch', 'RMSSD', current_date - ago,
            'night-' || ago, true, 40 + (ago * 7 + c.id) % 30, 52, now() - interval '1 day',
            'NORMAL', '{}', ((ago * 37 + c.id * 11) % 500) / 100.0 - 2.1, 'hrv-1', now()
        FROM biometrics_subject s JOIN biometrics_vendorconnection c ON c.subject_id = s.id,
            generate_series(0, 59) ago
        """,
    ),
    (
        "alerts",
        """
        INSERT INTO biometrics_hrvalert (id, subject_id, hrv_night_id, metric_family, night,
            series_id, severity, max_severity, status, revision, reasons, evidence, message,
            ruleset, raised_at, updated_at, acknowledged_by, feedback, note)
        SELECT gen_random_uuid(), subject_id, id, 'hrv', night, series_id, level, level,
            CASE WHEN night > current_date - 2 THEN 'open' ELSE 'acknowledged' END, 1,
            '["D1_z1<=-3"]', '{"value_ms": 40}', 'Check in with the person.', 'hrv-1',
            night + interval '7 hours', night + interval '7 hours', '', '', ''
        FROM (SELECT *, (ARRAY['MEDIUM', 'HIGH', 'MEDIUM', 'CRITICAL', 'HIGH'])
                [1 + id % 5] level FROM biometrics_hrvnight WHERE id % 40 = 3) n
        """,
    ),
    (
        "batches",
        """
        INSERT INTO biometrics_publishbatch (shard, seq, state, holder, size, refused,
            refused_code, created_at, closed_at)
        SELECT b % 16, b / 16 + 1, 'published', 'relay', 500, '', '',
            now() - interval '30 days' * (1 - b::float / %(batches)s),
            now() - interval '30 days' * (1 - b::float / %(batches)s)
        FROM generate_series(0, %(batches)s - 1) b
        """,
    ),
    (
        "messages",
        # Every event has one; the rest repeat the newest revision, as a topic of alerts
        # and of corrections does.
        """
        INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic, event_type,
            headers, value, priority, status, probe, attempts, batch_id, event_id, error,
            created_at, published_at, kafka_partition, kafka_offset)
        SELECT gen_random_uuid(), e.n % 16, e.subject_id, (ARRAY['biometric-events',
            'terra-biometric-events'])[1 + e.n % 2], e.record_type || '.created',
            '{"priority": "NORMAL"}', convert_to('{"subject": "' || e.subject_id || '"}',
            'UTF8'), 0, 'published', false, 1, 1 + e.n % %(batches)s, e.id, '',
            e.created_at, e.created_at + interval '170 ms', e.n % 16, e.n
        FROM (SELECT *, row_number() OVER (ORDER BY created_at) n, count(*) OVER () whole
              FROM biometrics_biometricevent) e,
            generate_series(1, 4) again
        WHERE (again - 1) * whole + n <= %(messages)s
        ORDER BY e.created_at
        """,
    ),
    (
        "messages of alerts",
        """
        INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic, event_type,
            headers, value, priority, status, probe, attempts, batch_id, alert_id, error,
            created_at, published_at, kafka_partition, kafka_offset)
        SELECT gen_random_uuid(), 1, subject_id, 'biometric-alerts', 'hrv.raised',
            '{"revision": "1"}',
            '{}', 2, 'published', false, 1, 1, id, '', updated_at,
            updated_at + interval '90 ms', 1, 1
        FROM biometrics_hrvalert
        """,
    ),
    (
        "parked people",
        """
        WITH newest AS (
            SELECT DISTINCT ON (subject) id, subject, shard FROM biometrics_outboxmessage
            WHERE id > %(messages)s - 2000 ORDER BY subject, id DESC LIMIT 40
        ), held AS (
            UPDATE biometrics_outboxmessage m SET status = 'parked', published_at = NULL,
                error = 'MessageSizeTooLargeError', kafka_offset = NULL
            FROM newest WHERE m.id = newest.id RETURNING m.id
        )
        INSERT INTO biometrics_parkedqueue (subject, shard, from_id, code, reason, since)
        SELECT subject, shard, id, 'too_large', 'MessageSizeTooLargeError', now()
        FROM newest
        """,
    ),
    (
        "waiting messages",
        """
        UPDATE biometrics_outboxmessage SET status = 'pending', published_at = NULL,
            kafka_offset = NULL, batch_id = NULL
        WHERE id > %(messages)s - 300 AND status = 'published'
        """,
    ),
    (
        "counts by the hour",
        """
        INSERT INTO biometrics_intakecount (process, period, vendor, outcome, count)
        SELECT '', date_trunc('hour', received_at), vendor, 'stored', count(*)
        FROM biometrics_webhookdelivery
        WHERE received_at < date_trunc('hour', now() - interval '25 hours')
        GROUP BY 2, 3
        """,
    ),
    (
        "counts by the minute",
        """
        INSERT INTO biometrics_intakecount (process, period, vendor, outcome, count)
        SELECT 'web-' || id % 4, date_trunc('minute', received_at), vendor, 'stored',
            count(*)
        FROM biometrics_webhookdelivery
        WHERE received_at >= date_trunc('hour', now() - interval '25 hours')
        GROUP BY 1, 2, 3
        """,
    ),
    (
        "audit",
        """
        INSERT INTO biometrics_auditentry (at, actor, verb, target, reason, detail)
        SELECT now() - interval '1 minute' * n, 'staff-' || n % 50, (ARRAY['values.reveal',
            'alert.acknowledge', 'delivery.retry', 'outbox.retry'])[1 + n % 4],
            'subject ' || n, 'asked for', '{}'
        FROM generate_series(1, 50000) n
        """,
    ),
    (
        "alarms",
        """
        INSERT INTO biometrics_staffalarm (kind, key, text, since, cleared_at)
        SELECT 'silence', n || '/sleep', 'No sleep since Monday.', now() - interval '1 hour'
            * n, CASE WHEN n > 30 THEN now() END
        FROM generate_series(1, 3000) n
        """,
    ),
    (
        "circuits",
        """
        INSERT INTO resilience_breakertransition (breaker, epoch, at, old_state, new_state,
            old_mode, new_mode, cause, actor, reason, failures, wait_ms, error)
        SELECT (ARRAY['kafka', 'vendor:oura', 'database'])[1 + n % 3], n,
            now() - interval '10 minutes' * n, 'closed', 'open', 'auto', 'auto',
            'failures', '', '', 5, 1000, 'TimeoutError'
        FROM generate_series(1, 20000) n
        """,
    ),
    (
        "replays",
        """
        INSERT INTO biometrics_replayrun (selection, state, actor, reason, through_id,
            counted, total, plan, planned, planned_to, begun, is_careful, cursor, handed,
            in_hand, events_before, outcomes, changed, created_at)
        SELECT '{"vendor": "terra"}', 'done', 'staff-1', 'a new mapping', 1000,
            '[["terra", "processed", 1000]]', 1000, '{}', 1000, 1000, 0, false, 1000, 1000,
            '[]', 0, '{}', 3, now() - interval '1 day' * n
        FROM generate_series(1, 200) n
        """,
    ),
)
