"""Drives one MCP session with the official Python SDK.

    session.py URL [--token TOKEN | --sign-in LOGIN] < plan.json > outcome.json

The interface is that of ../typescript/session.mjs, which describes it; this SDK knows no `--dpop`. One difference is the SDK's: to an HTTP error
without a JSON-RPC body it gives the code -32603.
"""

import argparse
import json
import sys

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from sign_in import NewClient, noted

STEP_SECONDS = 20
LISTS = {"tools": Client.list_tools, "prompts": Client.list_prompts, "resources": Client.list_resources}


class Arguments(argparse.ArgumentParser):
    def error(self, message):
        self.exit(64, f"error: {message}; usage: session.py URL [--token TOKEN | --sign-in LOGIN] < plan.json\n")


def request(step, arguments):
    """The call on a client that a step of the plan stands for."""
    if step.get("list") in LISTS:
        return LISTS[step["list"]]
    if step.get("call"):
        return lambda client: client.call_tool(step["call"], step.get("arguments") or {})
    arguments.error(f"unknown step `{json.dumps(step)}`, use `list` (tools, prompts, resources) or `call`")


def number(digits):
    """JSON has one kind of number: 1.0 becomes 1, as in JavaScript."""
    value = float(digits)
    return int(value) if value.is_integer() else value


def plain(model):
    # The TypeScript SDK drops `resultType`: both SDKs carry a call on until it is `complete`.
    dump = model and model.model_dump_json(by_alias=True, exclude_unset=True, exclude={"result_type"})
    return dump and json.loads(dump, parse_float=number)


class Driver:
    def __init__(self, url, token, account):
        self.url = url
        self.account = account
        self.requested = []
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.status = None  # of the latest answer to a POST: SDK errors do not carry it
        self.outcome = {}

    async def note_status(self, response):
        self.requested.append(noted(response.request, response.status_code, self.url))
        if response.request.method == "POST":
            self.status = response.status_code

    def describe(self, error):
        while getattr(error, "exceptions", None):  # a group, as task groups raise it
            error = error.exceptions[0]
        if isinstance(error, TimeoutError):
            return {"error": {"code": None, "message": f"timed out after {STEP_SECONDS} s", "status": None}}
        code = error.code if isinstance(error, MCPError) else None
        return {"error": {"code": code, "message": str(error) or type(error).__name__, "status": self.status}}

    async def attempt(self, send, client):
        self.status = None
        try:
            with anyio.fail_after(STEP_SECONDS):
                return {"ok": plain(await send(client))}
        except Exception as error:
            return self.describe(error)

    async def session(self, requests):
        hooks = {"response": [self.note_status]}
        auth = self.account and self.account.provider(self.url)
        http = httpx2.AsyncClient(headers=self.headers, auth=auth, timeout=None, event_hooks=hooks)
        # One scope over the whole session bounds opening and closing it; each step has its own limit.
        with anyio.fail_after(STEP_SECONDS) as limit:
            # Without `cache=None` a repeated list might never leave the client.
            async with http, Client(streamable_http_client(self.url, http_client=http), cache=None) as client:
                limit.deadline = float("inf")
                self.outcome = {"server": plain(client.server_info), "protocol": client.protocol_version, "steps": []}
                for send in requests:
                    self.outcome["steps"].append(await self.attempt(send, client))
                limit.deadline = anyio.current_time() + STEP_SECONDS

    async def drive(self, requests):
        try:
            await self.session(requests)
        except Exception as error:
            # A broken connection ends the SDK's session: the steps that are left fail with its cause.
            failure = self.describe(error)
            if not self.outcome:
                return failure
            missing = len(requests) - len(self.outcome["steps"])
            self.outcome["steps"] += [failure] * missing
        return self.outcome


def main():
    arguments = Arguments()
    arguments.add_argument("url")
    arguments.add_argument("--token")
    arguments.add_argument("--sign-in", metavar="LOGIN")
    options = arguments.parse_args()
    try:
        requests = [request(step, arguments) for step in json.load(sys.stdin)["steps"]]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        arguments.error(f"the plan on stdin cannot be read: {error!r}")
    account = NewClient(options.sign_in) if options.sign_in else None
    driver = Driver(options.url, options.token, account)
    outcome = anyio.run(driver.drive, requests)
    if account:
        token = account.tokens
        outcome["requests"] = driver.requested
        outcome["token"] = token and {"type": token.token_type, "scope": token.scope}
    print(json.dumps(outcome))
    sys.exit(1 if "error" in outcome else 0)


main()
