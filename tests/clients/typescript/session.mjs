// Drives one MCP session with the official TypeScript SDK.
//
//   session.mjs URL [--token TOKEN | --sign-in LOGIN [--dpop ALGORITHM]] [--sdk v1|v2|sse] < plan.json > outcome.json
//
//   plan     {"steps":[{"list":"tools"},{"call":"echo","arguments":{"message":"hi"}}]}
//   outcome  {"server":{...},"protocol":"...","steps":[{"ok":{...}},{"error":{"code":...,"message":"...","status":...}}]}
//
// `list` takes tools, prompts or resources. An error's code is the JSON-RPC code, or null when the client saw none; its
// status is that of the HTTP answer, or null when there was none. python/session.py has the same interface.
// `sse` is v1 over the transport of 2024-11-05, HTTP with SSE.
// `--sign-in` starts with nothing but the URL and signs in as that user when the server asks for it (sign_in.mjs). The
// outcome then has `requests`, every request that was made ("POST server/mcp 401"), and `token`, the token's type and
// scope. `--dpop` asks for tokens that are bound to a key, which v2 alone can.
// Exit status: 0 the session was driven, 1 it could not be opened ({"error":{...}}), 64 wrong usage.
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { NewClient, noted } from "./sign_in.mjs";

const STEP_SECONDS = 20;

const sdks = {
  async v1() {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport: Transport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { McpError: RpcError } = await import("@modelcontextprotocol/sdk/types.js");
    const { UnauthorizedError } = await import("@modelcontextprotocol/sdk/client/auth.js");
    const finish = (transport, back) => transport.finishAuth(back.get("code"));
    return { Client, Transport, RpcError, UnauthorizedError, finish, call: (client, tool, options) => client.callTool(tool, undefined, options) };
  },
  async sse() {
    const { SSEClientTransport: Transport } = await import("@modelcontextprotocol/sdk/client/sse.js");
    return { ...(await sdks.v1()), Transport };
  },
  async v2() {
    const { Client, StreamableHTTPClientTransport: Transport, ProtocolError: RpcError, ...rest } = await import("@modelcontextprotocol/client");
    const { UnauthorizedError, DpopSession } = rest;
    // Without `auto`, v2 speaks only the protocol versions that v1 speaks.
    const clientOptions = { versionNegotiation: { mode: "auto" } };
    const finish = (transport, back) => transport.finishAuth(back);
    return { Client, Transport, RpcError, UnauthorizedError, DpopSession, finish, clientOptions, call: (client, tool, options) => client.callTool(tool, options) };
  },
};

function usage(problem) {
  console.error(`error: ${problem}; usage: session.mjs URL [--token TOKEN | --sign-in LOGIN [--dpop ALGORITHM]] [--sdk v1|v2|sse] < plan.json`);
  process.exit(64);
}

function request(step, sdk, client) {
  const list = { tools: "listTools", prompts: "listPrompts", resources: "listResources" }[step.list];
  // Without `refresh` a repeated list might never leave the client.
  if (list) return (options) => client[list](undefined, { ...options, cacheMode: "refresh" });
  if (step.call) return (options) => sdk.call(client, { name: step.call, arguments: step.arguments ?? {} }, options);
  usage(`unknown step \`${JSON.stringify(step)}\`, use \`list\` (tools, prompts, resources) or \`call\``);
}

// For most HTTP errors the SDK puts the whole body, a JSON-RPC error, into the message.
function rpcErrorIn(message) {
  try {
    return JSON.parse(message.slice(message.indexOf("{"))).error;
  } catch {
    return undefined;
  }
}

function describe(error, sdk, status) {
  if (error instanceof sdk.RpcError) {
    return { code: error.code, message: error.message.replace(`MCP error ${error.code}: `, ""), status };
  }
  const cause = error.cause ? `: ${error.cause.message || error.cause.code}` : "";
  const { code = null, message = error.message + cause } = rpcErrorIn(error.message) ?? {};
  return { code, message, status };
}

let args;
try {
  const [token, signIn, dpop] = Array(3).fill({ type: "string" });
  args = parseArgs({ allowPositionals: true, options: { token, "sign-in": signIn, dpop, sdk: { type: "string", default: "v2" } } });
} catch (error) {
  usage(error.message);
}
const { positionals, values } = args;
if (positionals.length !== 1 || !URL.canParse(positionals[0])) usage("one URL is needed");
if (!(values.sdk in sdks)) usage(`unknown sdk \`${values.sdk}\``);

const sdk = await sdks[values.sdk]();
const client = new sdk.Client({ name: "airlock-test", version: "1.0.0" }, sdk.clientOptions);
let requests;
try {
  requests = JSON.parse(await text(process.stdin)).steps.map((step) => request(step, sdk, client));
} catch (error) {
  usage(`the plan on stdin cannot be read: ${error.message}`);
}

const requested = [];
let account; // of whom signs in
if (values["sign-in"]) account = new NewClient(values["sign-in"], values.dpop && (await sdk.DpopSession.create({ alg: values.dpop })));

let status = null; // of the latest answer to a POST: SDK errors do not always carry it
let transport;
function openTransport() {
  transport = new sdk.Transport(new URL(positionals[0]), {
    authProvider: account,
    requestInit: values.token ? { headers: { authorization: `Bearer ${values.token}` } } : {},
    fetch: noted(requested, positionals[0], async (url, init) => {
      const response = await fetch(url, init);
      if (init?.method === "POST") status = response.status;
      return response;
    }),
  });
}

// The SDK sends the user to sign in and gives up: what was asked for is asked again with the token.
async function signingIn(action) {
  try {
    return await action();
  } catch (error) {
    const back = error instanceof sdk.UnauthorizedError && account?.comeBack();
    if (!back) throw error;
    await sdk.finish(transport, back);
    return action();
  }
}

async function attempt(action) {
  status = null;
  const late = new AbortController();
  const expired = new Promise((_, reject) => late.signal.addEventListener("abort", reject));
  const timer = setTimeout(() => late.abort(), STEP_SECONDS * 1000);
  try {
    return { ok: await Promise.race([signingIn(() => action({ signal: late.signal })), expired]) };
  } catch (error) {
    if (late.signal.aborted) return { error: { code: null, message: `timed out after ${STEP_SECONDS} s`, status: null } };
    return { error: describe(error, sdk, status) };
  } finally {
    clearTimeout(timer); // the SDK would cancel a request that it has long had the answer to
  }
}

let outcome = await attempt((options) => {
  openTransport();
  return client.connect(transport, options);
});
const connected = !outcome.error;
if (connected) {
  outcome = { server: client.getServerVersion(), protocol: transport.protocolVersion ?? null, steps: [] };
  for (const send of requests) outcome.steps.push(await attempt(send));
  await attempt(() => transport.terminateSession?.() ?? client.close());
}
if (account) {
  const { token_type, scope } = account.tokens() ?? {};
  Object.assign(outcome, { requests: requested, token: { type: token_type, scope } });
}
// The SDK may still hold an event stream open: leave as soon as the outcome is written.
process.stdout.write(JSON.stringify(outcome) + "\n", () => process.exit(connected ? 0 : 1));
