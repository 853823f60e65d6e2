"""A real browser before the real web process; a worker's part is played in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client, override_settings
from playwright.sync_api import Browser, Page, sync_playwright

from auren.devstack.valkey import EmbeddedValkey
from biometrics import nudges
from biometrics.vendors.records import Understanding
from biometrics.vendors.terra.adapter import Terra
from biometrics.vendors.wire import StoredDelivery
from resilience import registry
from tests.bridge import RunningBridge
from tests.browser.seed import World, seed
from tests.browser.staff import Staff

ResultT = TypeVar("ResultT")
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
_ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.redis)
            # WhiteNoise hands out files in a way that Django's ASGI handler remarks on.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
            )


@pytest.fixture(scope="package")
def chrome(chromium: str) -> Iterator[Browser]:
    """Start one browser; each test gets a fresh profile of it."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps a loop in this thread, which Django would take for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def _redis(_shared_valkey: EmbeddedValkey) -> Iterator[str]:
    base, _slash, _zero = _shared_valkey.url.rpartition("/")
    url = f"{base}/9"
    layers: dict[str, Any] = {"default": {**settings.CHANNEL_LAYERS["default"]}}
    layers["default"]["CONFIG"] = {"hosts": [url], "prefix": "browser-tests"}
    with override_settings(
        REDIS_URL=url, RESILIENCE_REDIS_URL=url, CHANNEL_LAYERS=layers
    ):
        _forget_clients()
        yield url
    _forget_clients()


def _forget_clients() -> None:
    nudges.connect.cache_clear()
    registry.clear()


@pytest.fixture
def site(transactional_db: None, _redis: str) -> Iterator[RunningBridge]:
    """Serve the whole application on a real socket, with the tests' database."""
    nudges.connect().flushdb()
    registry.clear()
    running = RunningBridge()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def world(transactional_db: None) -> World:
    """Fill the tables with people, a day of deliveries and two alerts."""
    return seed()


@pytest.fixture
def better_mapping(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the mapping read other values out of the nights since they came."""
    before = Terra.understand

    def understand(self: Terra, delivery: StoredDelivery) -> Understanding:
        said = before(self, delivery)
        changed = [
            replace(
                one,
                readings=tuple(replace(r, value=r.value + 1) for r in one.readings),
            )
            for one in said.records
        ]
        return replace(said, records=tuple(changed))

    monkeypatch.setattr(Terra, "understand", understand)


@pytest.fixture
def as_worker() -> Iterator[Callable[[Callable[[], ResultT]], ResultT]]:
    """Run what a worker does: in a thread of its own, with its own connection."""
    with ThreadPoolExecutor(1) as pool:

        def run(work: Callable[[], ResultT]) -> ResultT:
            return pool.submit(work).result(timeout=20)

        yield run
        pool.submit(connections.close_all).result(timeout=20)


@pytest.fixture
def make_staff(chrome: Browser, site: RunningBridge) -> Iterator[Callable[..., Staff]]:
    """Open the browser of a staff member with the named permissions, or with all."""
    opened: list[Staff] = []

    def make(
        *permissions: str,
        viewport: dict[str, int] = WIDE,
        scheme: str = "light",
        is_superuser: bool = False,
    ) -> Staff:
        name = f"staff{len(opened)}"
        user = User.objects.create_user(
            name, password="x", is_staff=True, is_superuser=is_superuser
        )
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        base = f"http://127.0.0.1:{site.port}"
        context = chrome.new_context(
            base_url=base,
            viewport=viewport,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": base}]
        )
        staff = Staff(context=context, page=context.new_page(), name=name)
        opened.append(staff)
        return staff

    yield make
    for staff in opened:
        staff.context.close()
    for staff in opened:
        assert staff.complaints == [], staff.complaints


@pytest.fixture
def boss(make_staff: Callable[..., Staff]) -> Staff:
    """Open the browser of somebody who may do everything."""
    return make_staff(is_superuser=True)


@pytest.fixture
def page(boss: Staff) -> Page:
    """Return the page of somebody who may do everything."""
    return boss.page
