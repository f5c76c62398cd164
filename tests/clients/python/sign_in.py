"""Somebody who signs in when a server asks for it, with nothing configured but its URL.

The interface is that of ../typescript/sign_in.mjs. The user is tests/issuers/browser.mjs.
"""

import pathlib
from urllib.parse import parse_qs, urlsplit

import anyio
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

BROWSER = pathlib.Path(__file__).parents[2] / "issuers" / "browser.mjs"
REDIRECT = "http://127.0.0.1/callback"


class NewClient:
    """A client that is new here. It keeps what it learns for as long as it lives."""

    def __init__(self, login):
        self.login = login
        self.client = None
        self.tokens = None
        self.back = {}

    def provider(self, url):
        metadata = OAuthClientMetadata(
            client_name="airlock-test", redirect_uris=[REDIRECT], token_endpoint_auth_method="none"
        )
        return OAuthClientProvider(url, metadata, self, self.redirect, self.callback)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def redirect(self, url):
        browser = await anyio.run_process(["node", str(BROWSER), url, self.login])
        self.back = {name: values[0] for name, values in parse_qs(urlsplit(browser.stdout.decode().strip()).query).items()}

    async def callback(self):
        return AuthorizationCodeResult(code=self.back["code"], state=self.back.get("state"), iss=self.back.get("iss"))


def noted(request, status, server):
    """A request as "METHOD origin/path status"."""
    url = urlsplit(str(request.url))
    who = "server" if url.netloc == urlsplit(server).netloc else "provider"
    return f"{request.method} {who}{url.path} {status}"
