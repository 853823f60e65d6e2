"""manage.py fake_vendors: Oura, WHOOP and Terra on this machine."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from auren.devstack.fakes.server import build_app, send_webhooks
from auren.devstack.fakes.world import Client, build_world
from auren.devstack.simulator.sender import Secrets

_NAMES = {
    "oura": ("client_id", "client_secret"),
    "whoop": ("client_id", "client_secret"),
    "terra": ("dev_id", "api_key"),
}


class Command(BaseCommand):
    """Serves the fake vendors until it is stopped."""

    help = (
        "Serve fake Oura, WHOOP and Terra APIs under /oura, /whoop and /terra, and"
        " their control API under /control. Point the bridge at them with"
        " AUREN_OURA_API_BASE=http://HOST:PORT/oura and so on."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=18889)
        parser.add_argument(
            "--bridge",
            help="where Terra's own webhooks (connections, data on request) go",
        )
        parser.add_argument(
            "--limit-factor",
            type=float,
            default=1.0,
            help="multiply the published rate limits (default 1)",
        )
        parser.add_argument("--page-size", type=int, default=50)

    def handle(self, *_: Any, **options: Any) -> None:
        world = build_world(
            clients=_clients(),
            clock=lambda: datetime.now(UTC),
            limit_factor=options["limit_factor"],
            page_size=options["page_size"],
        )
        app = build_app(world)
        if options["bridge"]:
            terra = settings.AUREN_WEBHOOK_SECRETS.get("terra")
            if not terra:
                raise CommandError("--bridge needs AUREN_WEBHOOK_SECRET_TERRA.")
            secrets = Secrets(signing={"terra": terra[0]})
            send_webhooks(app, bridge=options["bridge"], secrets=secrets)
        address = f"http://{options['host']}:{options['port']}"
        self.stdout.write(f"Fake vendors at {address}/{{oura,whoop,terra,control}}")
        logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
        try:
            web.run_app(
                app,
                host=options["host"],
                port=options["port"],
                print=None,
                shutdown_timeout=1.0,
            )
        except OSError as error:
            message = f"Cannot listen on {address}: {error.strerror}. Choose --port."
            raise CommandError(message) from error


def _clients() -> dict[str, Client]:
    """Return the applications as the bridge is configured to present itself."""
    clients = {}
    for slug, (name, secret) in _NAMES.items():
        known = settings.AUREN_VENDORS.get(slug, {})
        if not known.get(name) or not known.get(secret):
            prefix = f"AUREN_{slug.upper()}_"
            message = f"Set {prefix}{name.upper()} and {prefix}{secret.upper()}."
            raise CommandError(message)
        clients[slug] = Client(client_id=known[name], client_secret=known[secret])
    return clients
