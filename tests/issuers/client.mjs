// An OAuth client for tests whose tokens and proofs come from libraries that are not ours (`dpop`, `jose`).
//
//   client.mjs ISSUER           prints "listening on http://127.0.0.1:PORT" and does what it is told there by POST:
//
//   /credentials {resource, scope, dpop?}           the client `agent` of provider.mjs
//   /device      {resource, scope, login, dpop?}    registers, and walks through the device flow with a browser
//   /code        {resource, scope, login, dpop?}    registers, and walks through the code flow with PKCE
//   /proof       {key?, method, url, nonce?, token?}
//
// `dpop` is an algorithm of proofs (ES256, RS256, Ed25519) and binds the token to a new key. The answer of a flow is the
// answer of the token endpoint, with `key`, the name of that key here, and `steps`: "METHOD path status" of every
// request that the client made. /proof answers {"proof": …}, under a new key if none is named.
// What goes wrong is answered with 500 and {"error": …}.
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { generateKeyPair, generateProof } from "dpop";
import { browse, signIn } from "./browser.mjs";

const REDIRECT = "http://127.0.0.1/callback";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

const [issuer] = process.argv.slice(2);
const keys = new Map();

async function newKey(algorithm) {
  const name = `key-${keys.size + 1}`;
  keys.set(name, await generateKeyPair(algorithm));
  return name;
}

class Flow {
  steps = [];

  constructor(key) {
    this.key = key;
  }

  async fetch(url, options) {
    const response = await fetch(url, options);
    this.steps.push(`${options?.method ?? "GET"} ${new URL(url).pathname} ${response.status}`);
    return response;
  }

  async discover() {
    this.metadata = await (await this.fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
  }

  async register(grants) {
    const client = {
      redirect_uris: [REDIRECT], application_type: "native", token_endpoint_auth_method: "none", grant_types: grants,
      response_types: grants.includes("authorization_code") ? ["code"] : [],
    };
    const headers = { "content-type": "application/json" };
    const response = await this.fetch(this.metadata.registration_endpoint, { method: "POST", headers, body: JSON.stringify(client) });
    const registered = await response.json();
    if (response.status !== 201) throw new Error(`registration: ${JSON.stringify(registered)}`);
    return registered.client_id;
  }

  // A nonce comes with a refusal, or for the next time with any answer.
  async token(parameters, authorization) {
    const url = this.metadata.token_endpoint;
    for (;;) {
      const headers = { ...(authorization && { authorization }) };
      if (this.key) headers.dpop = await generateProof(keys.get(this.key), url, "POST", this.nonce);
      const response = await this.fetch(url, { method: "POST", headers, body: new URLSearchParams(parameters) });
      const asked = this.nonce;
      this.nonce = response.headers.get("dpop-nonce") ?? this.nonce;
      const answer = await response.json();
      if (response.ok) return { ...answer, key: this.key, steps: this.steps };
      if (answer.error === "use_dpop_nonce" && this.nonce !== asked) continue;
      if (answer.error !== "authorization_pending") throw new Error(`token: ${JSON.stringify(answer)}`);
      await sleep(100);
    }
  }
}

const flows = {
  async credentials({ resource, scope, dpop }) {
    const flow = new Flow(dpop && (await newKey(dpop)));
    await flow.discover();
    const authorization = `Basic ${Buffer.from("agent:secret-of-the-agent").toString("base64")}`;
    return flow.token({ grant_type: "client_credentials", resource, scope }, authorization);
  },

  async device({ resource, scope, login, dpop }) {
    const flow = new Flow(dpop && (await newKey(dpop)));
    await flow.discover();
    const client_id = await flow.register([DEVICE]);
    const body = new URLSearchParams({ client_id, resource, scope });
    const asked = await (await flow.fetch(flow.metadata.device_authorization_endpoint, { method: "POST", body })).json();
    if (!asked.device_code) throw new Error(`device: ${JSON.stringify(asked)}`);
    const token = flow.token({ grant_type: DEVICE, device_code: asked.device_code, client_id });
    const [answer] = await Promise.all([token, browse(asked.verification_uri_complete, login)]);
    return answer;
  },

  async code({ resource, scope, login, dpop }) {
    const flow = new Flow(dpop && (await newKey(dpop)));
    await flow.discover();
    const client_id = await flow.register(["authorization_code"]);
    const code_verifier = randomBytes(32).toString("base64url");
    const url = new URL(flow.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id, resource, scope, response_type: "code", redirect_uri: REDIRECT, code_challenge_method: "S256",
      code_challenge: createHash("sha256").update(code_verifier).digest("base64url"),
    });
    const back = await signIn(url, login);
    const code = back.searchParams.get("code");
    if (!code) throw new Error(`authorization: ${back.search}`);
    return flow.token({ grant_type: "authorization_code", code, code_verifier, client_id, redirect_uri: REDIRECT, resource });
  },

  async proof({ key, method, url, nonce, token }) {
    const pair = keys.get(key ?? (await newKey("ES256")));
    return { proof: await generateProof(pair, url, method, nonce ?? undefined, token) };
  },
};

async function answer(request) {
  try {
    return [200, await flows[new URL(request.url, issuer).pathname.slice(1)](await json(request))];
  } catch (error) {
    return [500, { error: `${error.message}${error.cause ? `: ${error.cause}` : ""}` }];
  }
}

const server = http.createServer(async (request, response) => {
  const [status, document] = await answer(request);
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(document));
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
