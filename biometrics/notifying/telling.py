"""What is said of an alert outside of the console: that there is one, and where it is.

Neither a measured value nor a name leaves the bridge this way.
"""

from __future__ import annotations

import smtplib
from datetime import datetime

import orjson
from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.connections.tokens import decrypt
from biometrics.errors import ConfigurationError
from biometrics.models import AlertNotice, HrvAlert
from biometrics.models.notices import Channel
from biometrics.notifying import posting, signing
from biometrics.notifying.posting import NotToldError
from resilience import CircuitBreakerOpen, get_breaker

EVENT_TYPE = "hrv.alert"


def tell(notice: AlertNotice, *, now: datetime) -> None:
    """Send one notice; raises NotToldError, GoneError, ForbiddenAddressError."""
    if notice.subscription.channel == Channel.EMAIL:
        _mail(notice)
    else:
        _post(notice, now=now)


def breaker_name(subscription_id: int) -> str:
    """Return the name of the circuit of one webhook."""
    return f"alert-webhook:{subscription_id}"


def page_of(alert: HrvAlert) -> str:
    """Return the whole address of an alert's page."""
    path = reverse("admin:biometrics_hrvalert_change", args=[alert.pk])
    return f"{settings.PUBLIC_URL}{path}"


def _mail(notice: AlertNotice) -> None:
    alert = notice.alert
    host = settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0]
    message = EmailMessage(
        subject=f"{alert.severity} alert, night of {alert.night}",
        body=f"A {alert.severity} alert is open.\n\n{page_of(alert)}\n\n{LIMITS_OF_USE}\n",
        to=[notice.subscription.address],
        # The same in every attempt, so that a mailbox knows a repetition.
        headers={"Message-ID": f"<{notice.pk}@{host or 'bridge'}>"},
    )
    try:
        with get_breaker("mail"):
            message.send()
    except CircuitBreakerOpen as error:
        raise NotToldError("The mail server is being left alone.") from error
    except (OSError, smtplib.SMTPException) as error:
        text = f"The mail server did not take it ({type(error).__name__})."
        raise NotToldError(text) from error


def _post(notice: AlertNotice, *, now: datetime) -> None:
    subscription = notice.subscription
    if subscription.secret is None:
        raise ConfigurationError("The webhook has no secret: subscribe it anew.")
    body = _body(notice)
    posting.post(
        subscription.address,
        body=body,
        headers=signing.headers(
            secret=decrypt(subscription.secret),
            message_id=str(notice.pk),
            at=now,
            body=body,
        ),
        breaker=breaker_name(subscription.pk),
        is_open=settings.AUREN_MODE == "development",
    )


def _body(notice: AlertNotice) -> bytes:
    alert = notice.alert
    return orjson.dumps(
        {
            "type": EVENT_TYPE,
            "timestamp": alert.raised_at.isoformat(),
            "data": {
                "alert": str(alert.pk),
                "subject": str(alert.subject_id),
                "severity": alert.severity,
                "night": alert.night.isoformat(),
                "url": page_of(alert),
                "limits_of_use": LIMITS_OF_USE,
            },
        }
    )
