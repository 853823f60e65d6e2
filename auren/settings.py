"""Settings of the bridge, all from the environment.

`.env.example` documents every variable with its default. A wrong value stops the start
with an error that names the variable.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from auren import console_settings
from auren import environment as env
from auren.circuits import circuits
from auren.logs import logging_config
from auren.vendor_settings import signing_secrets, vendors

# Lets generic classes of Django be subscripted at run time, as type checkers see them.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# ── What kind of process this is ─────────────────────────────────────────────
DEBUG = env.flag("DEBUG", default=False)
AUREN_MODE = env.one_of("AUREN_MODE", "production", ("production", "development"))
PORT = env.integer("PORT", 8889, low=1, high=65_535)
WORKERS = env.integer("WORKERS", 4, low=1, high=256)
WEB_PROCESSES = env.integer("WEB_PROCESSES", 2, low=1, high=64)
SECRET_KEY = env.text("SECRET_KEY")
if not SECRET_KEY:
    message = "SECRET_KEY is not set: give at least 50 random characters."
    raise ImproperlyConfigured(message)
ALLOWED_HOSTS = env.listing("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.listing("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = env.url(
    "PUBLIC_URL", f"http://127.0.0.1:{PORT}", schemes=("http", "https")
).rstrip("/")

# ── Applications ─────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "channels",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "resilience",
    "biometrics",
    "auren",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "biometrics.signing_in.SittingMiddleware",
    "biometrics.admin.viewer.ViewerMiddleware",
    # The last: it answers a sign-in that is locked.
    "axes.middleware.AxesMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
ROOT_URLCONF = "auren.urls"
ASGI_APPLICATION = "auren.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "auren" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# ── Truth: PostgreSQL, or SQLite for one machine ─────────────────────────────
PG_POOL_MIN_SIZE = env.integer("PG_POOL_MIN_SIZE", 10, low=1, high=1000)
PG_POOL_MAX_SIZE = env.integer("PG_POOL_MAX_SIZE", 50, low=1, high=1000)
if PG_POOL_MIN_SIZE > PG_POOL_MAX_SIZE:
    message = "PG_POOL_MIN_SIZE must not be above PG_POOL_MAX_SIZE."
    raise ImproperlyConfigured(message)
PG_POOL = env.flag("PG_POOL", default=True)


def _database() -> dict[str, Any]:
    config: dict[str, Any] = env.database(
        "DATABASE_URL", f"sqlite:///{BASE_DIR / '.devstack' / 'bridge.sqlite3'}"
    )
    if "sqlite" in config["ENGINE"]:
        config["OPTIONS"] = {
            # Writers queue for the lock at BEGIN instead of failing in mid-transaction.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
        }
        return config
    options = config.setdefault("OPTIONS", {})
    options["application_name"] = "auren"
    # A server that accepts and says nothing holds nobody for ever.
    options.setdefault("connect_timeout", 5)
    if PG_POOL:
        # The limits hold for a host; each of its processes gets its share.
        processes = WORKERS + WEB_PROCESSES
        low = max(1, PG_POOL_MIN_SIZE // processes)
        high = max(2, PG_POOL_MAX_SIZE // processes)
        config["ENGINE"] = "dj_db_conn_pool.backends.postgresql"
        config["CONN_MAX_AGE"] = 0
        config["POOL_OPTIONS"] = {
            "POOL_SIZE": low,
            "MAX_OVERFLOW": max(0, high - low),
            "RECYCLE": 3600,
            "PRE_PING": True,
        }
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ── Redis: broker, live socket, breaker state; may be wiped at any time ──────
REDIS_URL = env.url(
    "REDIS_URL", "redis://127.0.0.1:6379/0", schemes=("redis", "rediss", "unix")
)
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "auren-live", "expiry": 30},
    }
}

# ── Celery ───────────────────────────────────────────────────────────────────
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = WORKERS
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 12.0
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "auren"
CELERY_TASK_QUEUES_ORDER = ("auren-urgent", "auren", "auren-slow")
CELERY_TASK_ROUTES = {
    # It finds what got lost: behind a full queue it would come too late, and expire.
    "biometrics.sweep": {"queue": "auren-urgent"},
    "biometrics.compare_rosters": {"queue": "auren-slow"},
    "biometrics.count_hrv_rates": {"queue": "auren-slow"},
    "biometrics.recover_due": {"queue": "auren-slow"},
    "biometrics.replay": {"queue": "auren-slow"},
    "biometrics.retain": {"queue": "auren-slow"},
    "biometrics.sync_subscriptions": {"queue": "auren-slow"},
    "biometrics.count_secrets": {"queue": "auren-slow"},
    "biometrics.count_waiting": {"queue": "auren-slow"},
    "biometrics.watch_streams": {"queue": "auren-slow"},
    "biometrics.notify": {"queue": "auren-slow"},
}
CELERY_TASK_TIME_LIMIT = 90
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Longer than the hardest limit of any task, or it would run twice.
    "visibility_timeout": 180,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "queue_order_strategy": "priority",
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
}

# ── Intake ───────────────────────────────────────────────────────────────────
MAX_CONCURRENT_WEBHOOKS = env.integer("MAX_CONCURRENT_WEBHOOKS", 100, low=1)
WEBHOOK_MAX_BODY_MB = env.integer("WEBHOOK_MAX_BODY_MB", 50, low=1, high=1024)
INTAKE_BUFFER_MB = env.integer("INTAKE_BUFFER_MB", 256, low=1)
INTAKE_READ_TIMEOUT_S = env.number("INTAKE_READ_TIMEOUT_S", 10.0, low=0.1, high=600)
INTAKE_COMMIT_TIMEOUT_S = env.number("INTAKE_COMMIT_TIMEOUT_S", 5.0, low=0.1, high=60)
SHARDS = env.integer("SHARDS", 16, low=1, high=1024)
AUTO_PROVISION_SUBJECTS = env.flag("AUTO_PROVISION_SUBJECTS", default=True)
AUREN_TOKEN_KEYS = env.listing("AUREN_TOKEN_KEYS")

# ── Vendors ──────────────────────────────────────────────────────────────────
AUREN_VENDORS = vendors()
AUREN_WEBHOOK_SECRETS = signing_secrets(
    of_vendors=AUREN_VENDORS, by_client_secret=("oura", "whoop")
)
AUREN_UNUSED_VENDORS = env.listing("AUREN_UNUSED_VENDORS")
if AUREN_MODE == "development":
    # The fake vendors speak plain HTTP; oauthlib refuses that everywhere else.
    os.environ.setdefault("OAUTHLIB_INSECURE_TRANSPORT", "1")
AIOHTTP_CONNECTOR_LIMIT = env.integer("AIOHTTP_CONNECTOR_LIMIT", 200, low=1)
VENDOR_LIMIT_FACTOR = env.number("VENDOR_LIMIT_FACTOR", 1.0, low=0.001, high=1000)
VENDOR_TIMEOUT_S = env.number("VENDOR_TIMEOUT_S", 10.0, low=0.1, high=120)

# ── Kafka ────────────────────────────────────────────────────────────────────
KAFKA_BOOTSTRAP_SERVERS = env.servers("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
KAFKA_DELIVERY = env.one_of(
    "KAFKA_DELIVERY", "exactly_once", ("exactly_once", "at_least_once")
)
KAFKA_ACKS = env.one_of("KAFKA_ACKS", "all", ("all",))
KAFKA_ENABLE_IDEMPOTENCE = env.flag("KAFKA_ENABLE_IDEMPOTENCE", default=True)
if not KAFKA_ENABLE_IDEMPOTENCE:
    message = "KAFKA_ENABLE_IDEMPOTENCE=false would allow duplicates; remove it."
    raise ImproperlyConfigured(message)
KAFKA_COMPRESSION_TYPE = env.one_of(
    "KAFKA_COMPRESSION_TYPE", "snappy", ("snappy", "gzip", "lz4", "zstd", "none")
)
KAFKA_LINGER_MS = env.integer("KAFKA_LINGER_MS", 5, high=1000)
KAFKA_BATCH_SIZE = env.integer("KAFKA_BATCH_SIZE", 16_384, low=1, high=2**20)
KAFKA_RETRY_BACKOFF_MS = env.integer(
    "KAFKA_RETRY_BACKOFF_MS", 20 if KAFKA_DELIVERY == "exactly_once" else 100, low=1
)
KAFKA_REQUEST_TIMEOUT_MS = env.integer("KAFKA_REQUEST_TIMEOUT_MS", 30_000, low=1000)
KAFKA_MAX_IN_FLIGHT = env.integer("KAFKA_MAX_IN_FLIGHT", 5, low=1, high=5)
KAFKA_BUFFER_MB = env.integer("KAFKA_BUFFER_MB", 32, low=1, high=1024)
KAFKA_MAX_EVENT_BYTES = env.integer("KAFKA_MAX_EVENT_BYTES", 900_000, low=10_000)
KAFKA_PUBLISH_BATCH = env.integer("KAFKA_PUBLISH_BATCH", 500, low=1, high=10_000)
KAFKA_PARTITIONS = env.integer("KAFKA_PARTITIONS", 16, low=1, high=10_000)
KAFKA_REPLICATION_FACTOR = env.integer("KAFKA_REPLICATION_FACTOR", 1, low=1, high=9)
KAFKA_SECURITY_PROTOCOL = env.one_of(
    "KAFKA_SECURITY_PROTOCOL",
    "PLAINTEXT",
    ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
)
KAFKA_SECURITY_SASL_MECHANISM = env.text("KAFKA_SECURITY_SASL_MECHANISM")
if KAFKA_SECURITY_PROTOCOL.startswith("SASL") and not KAFKA_SECURITY_SASL_MECHANISM:
    message = f"KAFKA_SECURITY_SASL_MECHANISM is not set: {KAFKA_SECURITY_PROTOCOL} needs one."
    raise ImproperlyConfigured(message)
KAFKA_SECURITY_SASL_USERNAME = env.text("KAFKA_SECURITY_SASL_USERNAME")
KAFKA_SECURITY_SASL_PASSWORD = env.text("KAFKA_SECURITY_SASL_PASSWORD")
KAFKA_SECURITY_CA_FILE = env.text("KAFKA_SECURITY_CA_FILE")
KAFKA_SECURITY_CERT_FILE = env.text("KAFKA_SECURITY_CERT_FILE")
KAFKA_SECURITY_KEY_FILE = env.text("KAFKA_SECURITY_KEY_FILE")
KAFKA_ALERT_TOPIC = env.text("KAFKA_ALERT_TOPIC", "biometric-alerts")
KAFKA_PROGRESS_TOPIC = env.text("KAFKA_PROGRESS_TOPIC", "auren-relay-progress")
AUREN_CLUSTER = "biometrics.publishing.producers.kafka_cluster.KafkaCluster"

# ── Breakers: the dependencies of breaker.md's table ─────────────────────────
RESILIENCE_REDIS_URL = REDIS_URL
RESILIENCE_METRIC_PREFIX = "biobridge_breaker_"
RESILIENCE = circuits(
    vendor_timeout_s=VENDOR_TIMEOUT_S, commit_timeout_s=INTAKE_COMMIT_TIMEOUT_S
)

# ── HRV ──────────────────────────────────────────────────────────────────────
# A JSON file with the rules' numbers; empty: hrv-1.
HRV_RULESET_FILE = env.text("HRV_RULESET_FILE")
# One mode for all fixed limits; empty: each as its ruleset says (hrv-1: until_baseline).
HRV_ABSOLUTE_RULES = env.one_of(
    "HRV_ABSOLUTE_RULES", "", ("", "until_baseline", "always", "guarded", "off")
)

# ── Mail: connect links, and alerts by e-mail; neither without a server ──────
EMAIL_HOST = env.text("EMAIL_HOST")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, low=1, high=65_535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "bridge@localhost")

# ── Retention, days ──────────────────────────────────────────────────────────
RAW_RETENTION_DAYS = env.integer("RAW_RETENTION_DAYS", 30, low=1)
MESSAGE_RETENTION_DAYS = env.integer("MESSAGE_RETENTION_DAYS", 7, low=1)
# 0: for good.
EVENT_RETENTION_DAYS = env.integer("EVENT_RETENTION_DAYS", 0)
AUDIT_RETENTION_DAYS = env.integer("AUDIT_RETENTION_DAYS", 0)
if 0 < EVENT_RETENTION_DAYS < RAW_RETENTION_DAYS:
    # A replay reads the delivery anew and compares with the event.
    message = "EVENT_RETENTION_DAYS must be 0 or not below RAW_RETENTION_DAYS."
    raise ImproperlyConfigured(message)

# ── Replay: deliveries handed over to the workers in a second ────────────────
REPLAY_PER_SECOND = env.integer("REPLAY_PER_SECOND", 50, low=1, high=1000)

# ── Metrics ──────────────────────────────────────────────────────────────────
METRICS_ALLOWED_IPS = env.networks("METRICS_ALLOWED_IPS", "127.0.0.1,::1")
METRICS_TOKEN = env.text("METRICS_TOKEN")
WORKER_METRICS_PORT = env.integer("WORKER_METRICS_PORT", 0, high=65_535)

# ── Tracing: spans for OpenTelemetry; off, its packages are not even imported ─
AUREN_TRACING = env.flag("AUREN_TRACING", default=False)
OTEL_TRACES_EXPORTER = env.one_of(
    "OTEL_TRACES_EXPORTER", "otlp", ("otlp", "console", "none")
)

# ── Web ──────────────────────────────────────────────────────────────────────
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "biometrics.views.handle_error",
}
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "auren.formats"
STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if AUREN_MODE == "production"
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}
WHITENOISE_USE_FINDERS = AUREN_MODE == "development"
WHITENOISE_AUTOREFRESH = AUREN_MODE == "development"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# ── Security: strict unless this is a development machine ────────────────────
# Ids of safeguards (manage.py doctor) that staff live with knowingly.
AUREN_ACCEPTED_RISKS = env.listing("AUREN_ACCEPTED_RISKS")
_TLS = env.flag("AUREN_TLS", default=AUREN_MODE == "production")
SECURE_SSL_REDIRECT = False
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if _TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _TLS
SECURE_HSTS_PRELOAD = _TLS
SESSION_COOKIE_SECURE = _TLS
CSRF_COOKIE_SECURE = _TLS
# ── Signing in: how long, how often wrong, with which second factor ──────────
SESSION_ENGINE = "auren.sessions"
SESSION_COOKIE_AGE = env.integer("SESSION_HOURS", 8, low=1, high=168) * 3600
SESSION_IDLE_MINUTES = env.integer("SESSION_IDLE_MINUTES", 60, low=1, high=10_080)
SIGN_IN_ATTEMPTS = env.integer("SIGN_IN_ATTEMPTS", 5, low=1, high=100)
SIGN_IN_LOCKOUT_MINUTES = env.integer("SIGN_IN_LOCKOUT_MINUTES", 15, low=1, high=10_080)
AXES_FAILURE_LIMIT = SIGN_IN_ATTEMPTS
AXES_COOLOFF_TIME = timedelta(minutes=SIGN_IN_LOCKOUT_MINUTES)
# By address alone a whole office, or everybody behind one proxy, would be locked out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "biometrics.signing_in.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
OTP_TOTP_ISSUER = "AUREN bridge"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# /webhooks/ never redirects; the admin's redirect to HTTPS is the reverse proxy's.
SILENCED_SYSTEM_CHECKS = ["security.W008"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

UNFOLD = console_settings.UNFOLD

LOG_LEVEL = env.one_of("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = logging_config(level=LOG_LEVEL)
