"""The OAuth2 endpoints that Oura and WHOOP share: consent, token, refresh."""

from __future__ import annotations

import base64
import binascii
import html
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from auren.devstack.fakes.gate import world_of
from auren.devstack.fakes.grants import Grant, GrantError
from auren.devstack.fakes.world import Client, Vendor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one vendor's endpoints insist on."""

    vendor: str
    min_state: int = 0
    # The scope without which there is no refresh token.
    offline_scope: str | None = None

    def renewable(self, scopes: frozenset[str]) -> bool:
        return self.offline_scope is None or self.offline_scope in scopes


def authorize(rules: Rules) -> Handler:
    """Return the consent page.

    Without `account` it shows who could consent; with it (the choice made on the page)
    it sends the browser back to the application, as `deny` does with an error.
    """

    async def handler(request: web.Request) -> web.StreamResponse:
        world = world_of(request)
        vendor, query = world.vendors[rules.vendor], request.query
        trouble = _trouble(query, vendor=vendor, rules=rules)
        if trouble is not None:
            return web.Response(status=400, text=trouble)
        if query.get("deny"):
            return _back(query, {"error": "access_denied"})
        account = query.get("account")
        if account is None:
            return _page(request, vendor)
        if account not in vendor.accounts:
            return web.Response(status=404, text=f"No account {account!r} here.")
        code = vendor.grants.consent(
            account=account,
            scopes=query.get("scope", "").split(),
            redirect_uri=query["redirect_uri"],
            challenge=query.get("code_challenge"),
            now=world.clock(),
        )
        return _back(query, {"code": code, "scope": query.get("scope", "")})

    return handler


def token(rules: Rules) -> Handler:
    """Return the token endpoint: form in, grant out."""

    async def handler(request: web.Request) -> web.StreamResponse:
        vendor = world_of(request).vendors[rules.vendor]
        form = {str(k): str(v) for k, v in (await request.post()).items()}
        if not _proves(request, form, client=vendor.client):
            return _refuse("invalid_client", "Unknown client.", status=401)
        makers: dict[str, Callable[[web.Request, Mapping[str, str], Rules], Grant]] = {
            "authorization_code": _redeem,
            "refresh_token": _refresh,
        }
        maker = makers.get(form.get("grant_type", ""))
        if maker is None:
            return _refuse("unsupported_grant_type", "grant_type is not known.")
        try:
            grant = maker(request, form, rules)
        except GrantError as error:
            return _refuse(error.code, error.detail)
        return web.json_response(token_answer(vendor, grant))

    return handler


def token_answer(vendor: Vendor, grant: Grant) -> dict[str, object]:
    """Return a grant as a token endpoint gives it."""
    answer: dict[str, object] = {
        "access_token": grant.access_token,
        "token_type": "bearer",
        "expires_in": round(vendor.grants.life.total_seconds()),
        "scope": " ".join(sorted(grant.scopes)),
    }
    if grant.refresh_token is not None:
        answer["refresh_token"] = grant.refresh_token
    return answer


def _redeem(request: web.Request, form: Mapping[str, str], rules: Rules) -> Grant:
    world = world_of(request)
    grants = world.vendors[rules.vendor].grants
    code = form.get("code", "")
    return grants.redeem(
        code=code,
        redirect_uri=form.get("redirect_uri", ""),
        verifier=form.get("code_verifier"),
        renewable=rules.renewable(grants.scopes_of(code)),
        now=world.clock(),
    )


def _refresh(request: web.Request, form: Mapping[str, str], rules: Rules) -> Grant:
    world = world_of(request)
    return world.vendors[rules.vendor].grants.refresh(
        token=form.get("refresh_token", ""),
        renewable=rules.renewable(frozenset(form.get("scope", "").split())),
        now=world.clock(),
    )


def _trouble(query: Mapping[str, str], *, vendor: Vendor, rules: Rules) -> str | None:
    """Return what is wrong with an authorization request."""
    if query.get("response_type") != "code":
        return "response_type must be code."
    if query.get("client_id") != vendor.client.client_id:
        return "client_id is not known."
    if urlsplit(query.get("redirect_uri", "")).scheme not in {"http", "https"}:
        return "redirect_uri must be an absolute address."
    if len(query.get("state", "")) < rules.min_state:
        return f"state must have at least {rules.min_state} characters."
    if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
        return "code_challenge_method must be S256."
    return None


def _back(query: Mapping[str, str], extra: Mapping[str, str]) -> web.Response:
    """Send the browser back to the application."""
    parts = urlsplit(query["redirect_uri"])
    answer = [*parse_qsl(parts.query), *extra.items()]
    if query.get("state"):
        answer.append(("state", query["state"]))
    target = urlunsplit(parts._replace(query=urlencode(answer)))
    return web.Response(status=302, headers={"Location": target})


def _page(request: web.Request, vendor: Vendor) -> web.Response:
    """Return a page with a link for each account that could consent."""
    scopes = html.escape(request.query.get("scope", "") or "none")
    links = "".join(
        f'<li><a href="{html.escape(_with(request, "account", account.account))}">'
        f"{html.escape(account.label)}</a></li>"
        for account in vendor.accounts.values()
    )
    deny = html.escape(_with(request, "deny", "1"))
    text = (
        f"<!doctype html><title>Fake {vendor.slug}</title>"
        f"<h1>Fake {vendor.slug}: who consents?</h1><p>Scopes: {scopes}</p>"
        f'<ul>{links}</ul><p><a href="{deny}">Deny</a></p>'
    )
    return web.Response(text=text, content_type="text/html")


def _with(request: web.Request, name: str, value: str) -> str:
    return str(request.rel_url.update_query({name: value}))


def _proves(request: web.Request, form: Mapping[str, str], *, client: Client) -> bool:
    """Say whether the caller is the client, by form or by HTTP Basic."""
    name, secret = form.get("client_id", ""), form.get("client_secret", "")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            plain = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        left, _, right = plain.partition(":")
        name, secret = unquote(left), unquote(right)
    known = secrets.compare_digest(name.encode(), client.client_id.encode())
    return known and secrets.compare_digest(
        secret.encode(), client.client_secret.encode()
    )


def _refuse(code: str, detail: str, *, status: int = 400) -> web.Response:
    payload = {"error": code, "error_description": detail}
    return web.json_response(payload, status=status)
