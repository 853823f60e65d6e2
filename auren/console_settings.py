"""The looks of the staff admin: what django-unfold is told."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "AUREN bridge",
    "SITE_HEADER": "AUREN bridge",
    "SITE_SYMBOL": "ecg_heart",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "LOGIN": {"form": "biometrics.signing_in.LoginForm"},
    "ACCOUNT": {
        "navigation": [
            {
                "title": "Second factor",
                "link": reverse_lazy("admin:auth_user_second_factor"),
            },
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "DASHBOARD_CALLBACK": "biometrics.admin.dashboard.dashboard",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("biometrics/icon.svg"),
        }
    ],
    "STYLES": [lambda _request: static("biometrics/console.css")],
    "SCRIPTS": [lambda _request: static("biometrics/console.js")],
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": "biometrics.admin.navigation.navigation",
    },
    "COMMAND": {"search_callback": "biometrics.admin.search.results"},
}
