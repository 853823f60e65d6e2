"""What a first version looks like: a DRF view in threads, one INSERT a request."""

from __future__ import annotations

import os

from django.conf import settings

from tests.bench.intake.load import SECRET
from tests.databases import parameters_of

_database = parameters_of(os.environ["DATABASE_URL"])
settings.configure(
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _database["dbname"],
            "USER": _database["user"],
            "HOST": _database["host"],
            "PORT": _database["port"],
            "CONN_MAX_AGE": None,
        }
    },
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": []},
)

import django  # noqa: E402

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from tests.bench.intake.proof import dedupe_key, is_genuine  # noqa: E402

_INSERT = (
    "INSERT INTO peer_delivery (vendor, dedupe_key, headers, body)"
    " VALUES (%s, %s, '{}', %s) ON CONFLICT DO NOTHING"
)


class Webhook(APIView):
    def post(self, request: Request, vendor: str) -> Response:
        body = request.body
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not is_genuine(vendor, headers, body):
            return Response(status=401)
        key = dedupe_key(vendor, dict(request.data), body)
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, [vendor, key, body])
            status = "accepted" if cursor.rowcount else "duplicate"
        return Response({"status": status})


urlpatterns = [path("webhooks/<str:vendor>", Webhook.as_view())]
application = get_wsgi_application()
