"""manage.py simulate: signed, plausible traffic of a few people against any bridge."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import aiohttp
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from auren.devstack.simulator.control import VendorControl
from auren.devstack.simulator.enrolment import enrol
from auren.devstack.simulator.people import SENDER_VENDOR, SENDERS, Person, cast
from auren.devstack.simulator.player import Player
from auren.devstack.simulator.registration import LocalRegister
from auren.devstack.simulator.sender import Phone, Secrets, Sender
from biometrics.errors import BiometricsError

_SIGNED = ("oura", "whoop", "terra")
_NOTIFIED = ("oura", "whoop")
_REPORT_EVERY_S = 10.0
_VENDORS = tuple(dict.fromkeys(SENDER_VENDOR.values()))


class Command(BaseCommand):
    """Plays until it is stopped, or until --count deliveries were made."""

    help = (
        "Send what simulated people's devices would send. Signs with"
        " AUREN_WEBHOOK_SECRET_OURA, _WHOOP and _TERRA; phones need --register (the"
        " bridge's database is that of these settings) or --healthkit-token. Oura and"
        " WHOOP only notify: the bridge fetches from the fake vendors, so these need"
        " --vendors-url."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bridge", default="http://127.0.0.1:8889")
        parser.add_argument("--vendors-url", help="where `fake_vendors` listens")
        parser.add_argument("--people", type=whole_number, default=6)
        parser.add_argument(
            "--vendor",
            action="append",
            choices=_VENDORS,
            help="only people of this vendor; may be given several times",
        )
        parser.add_argument(
            "--rate", type=rate, default=1.5, help="deliveries a second"
        )
        parser.add_argument("--count", type=whole_number, help="stop after so many")
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument(
            "--history", type=days, default=30, help="days before today, sent first"
        )
        parser.add_argument("--illness", action=BooleanOptionalAction, default=True)
        parser.add_argument(
            "--register",
            action="store_true",
            help="connect the people to the bridge whose database these settings name",
        )
        parser.add_argument(
            "--healthkit-token",
            action="append",
            default=[],
            help="a personal token, one for each phone, in their order",
        )
        parser.add_argument(
            "--wait", type=float, default=60, help="seconds to wait for the bridge"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        people = cast(
            seed=options["seed"],
            count=options["people"],
            today=now.date(),
            senders=_senders(options),
            illness=options["illness"],
        )
        signing = _signing(people)
        phones = _phones(people, options)
        try:
            asyncio.run(self._run(people, signing, phones, options))
        except BiometricsError as error:
            raise CommandError(str(error)) from error
        except aiohttp.ClientError as error:
            message = f"The fake vendors at {options['vendors_url']} failed: {error}"
            raise CommandError(message) from error

    async def _run(
        self,
        people: Sequence[Person],
        signing: dict[str, str],
        phones: dict[str, Phone],
        options: dict[str, Any],
    ) -> None:
        async with aiohttp.ClientSession() as session:
            url = options["vendors_url"]
            vendors = VendorControl(session=session, url=url) if url else None
            await _await_answer(session, options["bridge"], "/health", options["wait"])
            if url:
                await _await_answer(session, url, "/control/state", options["wait"])
            ready = await enrol(
                people,
                vendors=vendors,
                register=LocalRegister() if options["register"] else None,
                phones=phones,
                clock=_now,
            )
            sender = Sender(
                session=session,
                bridge=options["bridge"],
                secrets=Secrets(signing=signing, phones=ready),
                clock=_now,
            )
            await self._play(_player(people, sender, vendors, options))

    async def _play(self, player: Player) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, player.stop)
        report = asyncio.create_task(self._report(player.sender))
        try:
            await player.play()
        finally:
            report.cancel()
            self.stdout.write(f"simulate: ended, {player.sender.tally.line()}")

    async def _report(self, sender: Sender) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            self.stdout.write(f"simulate: {sender.tally.line()}")
            self.stdout.flush()


def _now() -> datetime:
    return datetime.now(UTC)


def _player(
    people: Sequence[Person],
    sender: Sender,
    vendors: VendorControl | None,
    options: dict[str, Any],
) -> Player:
    return Player(
        people=people,
        sender=sender,
        vendors=vendors,
        clock=_now,
        seed=options["seed"],
        rate=options["rate"],
        history_days=options["history"],
        count=options["count"],
    )


def whole_number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def days(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 365:
        raise ValueError(text)
    return number


def rate(text: str) -> float:
    number = float(text)
    if not 0 < number <= 10_000:
        raise ValueError(text)
    return number


def _senders(options: dict[str, Any]) -> list[str]:
    """Return the wanted senders; refuses those that cannot work."""
    wanted = options["vendor"]
    if wanted is None and not options["vendors_url"]:
        message = (
            "Oura and WHOOP need --vendors-url (start `manage.py fake_vendors`), or"
            " choose others with --vendor terra --vendor healthkit."
        )
        raise CommandError(message)
    senders = [s for s in SENDERS if wanted is None or SENDER_VENDOR[s] in wanted]
    if not options["vendors_url"] and set(senders) & set(_NOTIFIED):
        raise CommandError("--vendor oura and whoop need --vendors-url.")
    return senders


def _signing(people: Sequence[Person]) -> dict[str, str]:
    """Return the secret of each signing vendor among these people."""
    wanted = [slug for slug in _SIGNED if any(p.sender == slug for p in people)]
    known = settings.AUREN_WEBHOOK_SECRETS
    missing = [f"AUREN_WEBHOOK_SECRET_{s.upper()}" for s in wanted if not known.get(s)]
    if missing:
        message = f"Set {', '.join(missing)} to what the bridge has."
        raise CommandError(message)
    return {slug: known[slug][0] for slug in wanted}


def _phones(people: Sequence[Person], options: dict[str, Any]) -> dict[str, Phone]:
    """Return the given phones by account."""
    phones = [person for person in people if person.vendor == "healthkit"]
    given = options["healthkit_token"]
    if len(given) < len(phones) and not options["register"]:
        message = (
            f"{len(phones)} people push from a phone: give --healthkit-token for each"
            " (manage.py connections healthkit-token --subject NAME), or --register."
        )
        raise CommandError(message)
    return {
        person.account: Phone(token=token)
        for person, token in zip(phones, given, strict=False)
    }


async def _await_answer(
    session: aiohttp.ClientSession, base: str, path: str, patience_s: float
) -> None:
    """Return once the server answers; says who does not when it takes too long."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    short = aiohttp.ClientTimeout(total=3)
    while True:
        try:
            async with session.get(base.rstrip("/") + path, timeout=short) as answer:
                if answer.status < 500:
                    return
                said = f"answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            said = f"does not answer ({type(error).__name__})"
        if loop.time() > deadline:
            message = f"{base}{path} {said} after {patience_s:.0f} s."
            raise CommandError(message)
        await asyncio.sleep(0.25)
