"""The rules of wording hold on every page, in every name, and in the documents."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from prometheus_client import REGISTRY

from biometrics import metrics
from biometrics.alerts.wording import LIMITS_OF_USE
from tests.alerts.forbidden import claims_in, forbidden_in
from tests.console.revealing import reveal
from tests.console.test_pages import MODELS, list_url, page_url

ROOT = Path(__file__).resolve().parents[2]
OURS = ("auren", "biometrics", "resilience")
ABOUT_ALERTS = ("hrvalert", "hrvnight", "subject")
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("docs/**/*"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    if path.suffix in {".md", ".json"}
)
TEMPLATES = sorted(path for app in OURS for path in (ROOT / app).rglob("*.html"))


def read(page: str) -> str:
    """Return what a person can read or hear of a page: no tags but their labels."""
    without = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    labels = re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', without)
    return " ".join([re.sub(r"<[^>]+>", " ", without), *labels])


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_pages(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    reveal(admin_client, world.subject.pk)
    reveal(admin_client, world.webhookdelivery.public_id)
    for url in (list_url(model), page_url(model, getattr(world, model).pk)):
        answer = admin_client.get(url)
        assert answer.status_code == 200
        assert forbidden_in(read(answer.content.decode())) == []


@pytest.mark.parametrize(
    "name",
    ["admin:index", "admin:resilience_breakermode_changelist", "admin:app_list"],
)
def test_other_pages(admin_client: Client, world: SimpleNamespace, name: str) -> None:
    arguments = ["biometrics"] if name == "admin:app_list" else []
    page = admin_client.get(reverse(name, args=arguments)).content.decode()
    assert forbidden_in(read(page)) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_templates(path: Path) -> None:
    text = re.sub(r"\{[%#].*?[%#]\}|\{\{.*?\}\}", " ", path.read_text())
    assert forbidden_in(read(text)) == []


def test_names_and_help_of_models() -> None:
    for config in (apps.get_app_config(name) for name in OURS):
        said = [str(config.verbose_name)]
        for model in config.get_models():
            options = model._meta
            said += [str(options.verbose_name), str(options.verbose_name_plural)]
            for field in options.get_fields():
                said += [str(getattr(field, "verbose_name", ""))]
                said += [str(getattr(field, "help_text", ""))]
                said += [str(text) for _, text in getattr(field, "choices", None) or ()]
        assert forbidden_in(" | ".join(said)) == []


def test_metrics() -> None:
    assert metrics.ALERTS is not None
    said = [family.documentation for family in REGISTRY.collect()]
    assert forbidden_in(" | ".join(said)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_documents(path: Path) -> None:
    assert claims_in(path.read_text()) == []


def test_the_page_about_alerts_is_held_to_the_strict_list() -> None:
    assert forbidden_in((ROOT / "docs/hrv.md").read_text()) == []


@pytest.mark.parametrize("model", ABOUT_ALERTS)
def test_the_limits_of_use_stand_on_pages_about_alerts(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    pages = [page_url(model, getattr(world, model).pk)]
    if model != "subject":
        pages.append(list_url(model))
    for url in pages:
        assert LIMITS_OF_USE in admin_client.get(url).content.decode()


def test_the_limits_of_use_stand_on_the_dashboard_where_alerts_are(
    admin_client: Client, bare_client: Client, world: SimpleNamespace
) -> None:
    index = reverse("admin:index")
    assert LIMITS_OF_USE in admin_client.get(index).content.decode()
    assert LIMITS_OF_USE not in bare_client.get(index).content.decode()


@pytest.mark.parametrize("name", ["hrv.md", "contract/asyncapi.json"])
def test_the_limits_of_use_stand_in_the_documents(name: str) -> None:
    text = " ".join((ROOT / "docs" / name).read_text().split())
    assert LIMITS_OF_USE in text.replace("**", "")
