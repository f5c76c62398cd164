// A real identity provider for tests: npm `oidc-provider` with dynamic registration, device and code flow, client
// credentials, resource indicators and DPoP. Everybody who signs in is whom they say they are.
//
//   provider.mjs PORT STATE     prints "listening on http://127.0.0.1:PORT"; signing keys are kept in the file STATE
//
// A client that is always there: `agent` with the secret `secret-of-the-agent`, for client credentials.
// Tests steer it by POST, with a JSON body if there is one:
//
//   /test/resources  [{"resource": URL, "scopes": [...], "algorithm": "ES256", "lifetime": 600, "shape": "rfc9068"}]
//   /test/rotate     new keys sign from now on; the old ones stay published
//   /test/withdraw   only the newest keys stay published
//   /test/nonces     {"required": true}: proofs at the token endpoint need a nonce
//   /test/requests   answers how often each path has been asked for
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { json } from "node:stream/consumers";
import { exportJWK, generateKeyPair } from "jose";
import { Provider, errors } from "oidc-provider";
import { published, shapes } from "./shapes.mjs";

const ALGORITHMS = ["RS256", "ES256", "Ed25519"];
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi"];

const [port, stateFile] = process.argv.slice(2);
const origin = `http://127.0.0.1:${port}`;

// The newest keys come first: they sign.
let keys = existsSync(stateFile) ? JSON.parse(readFileSync(stateFile, "utf8")) : await newKeys(1);
let resources = new Map();
let noncesRequired = false;
const secrets = { cookies: randomBytes(32).toString("hex"), nonces: randomBytes(32) };
const requests = {};

async function newKeys(generation) {
  const made = ALGORITHMS.map(async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...(await exportJWK(privateKey)), alg, use: "sig", kid: `${alg.toLowerCase()}-${generation}`, generation };
  });
  return Promise.all(made);
}

const signingKeys = () => keys.map(({ generation, ...key }) => key);
const publicKeys = () => signingKeys().map((key) => Object.fromEntries(Object.entries(key).filter(([name]) => !PRIVATE_MEMBERS.includes(name))));

function resourceServer(context, resource) {
  const known = resources.get(resource);
  if (!known) throw new errors.InvalidTarget("unknown resource");
  return {
    scope: known.scopes.join(" "), audience: resource, accessTokenFormat: "jwt",
    accessTokenTTL: known.lifetime ?? 600, jwt: { sign: { alg: known.algorithm ?? "ES256" } },
  };
}

// The library reads its configuration once; what it stores is shared by all instances.
function provider() {
  const scopes = [...resources.values()].flatMap((resource) => resource.scopes);
  const made = new Provider(origin, {
    clients: [{
      client_id: "agent", client_secret: "secret-of-the-agent", grant_types: ["client_credentials"],
      redirect_uris: [], response_types: [],
    }],
    jwks: { keys: signingKeys() },
    enabledJWA: { dPoPSigningAlgValues: [...ALGORITHMS, "EdDSA"] },
    // A client that registered for some scopes may ask for others later, as with most providers.
    extraClientMetadata: { properties: ["any_scope"], validator: (context, name, value, metadata) => void delete metadata.scope },
    cookies: { keys: [secrets.cookies] },
    scopes: ["openid", "offline_access", ...new Set(scopes)],
    features: {
      devInteractions: { enabled: true },
      dPoP: { enabled: true, nonceSecret: secrets.nonces, requireNonce: () => noncesRequired },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true, defaultResource: () => undefined, useGrantedResource: () => true, getResourceServerInfo: resourceServer,
      },
    },
    findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    formats: { customizers: { jwt(context, token, made) { shapes[resources.get(token.aud)?.shape ?? "rfc9068"](made, origin); } } },
    // The library's own pages and defaults are all that a test needs; it would warn of each.
    ttl: { Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  });
  made.on("server_error", (context, error) => console.error(error));
  return made.callback();
}

let current = provider();

const controls = {
  async resources(request) {
    for (const resource of await json(request)) resources.set(resource.resource, resource);
  },
  async rotate() {
    keys = [...(await newKeys(keys[0].generation + 1)), ...keys];
  },
  async withdraw() {
    keys = keys.filter((key) => key.generation === keys[0].generation);
  },
  async nonces(request) {
    noncesRequired = (await json(request)).required;
  },
  requests: async () => requests,
};

function answer(response, document) {
  response.setHeader("content-type", "application/json").end(JSON.stringify(document));
}

async function control(name, request, response) {
  const said = await controls[name](request);
  writeFileSync(stateFile, JSON.stringify(keys));
  current = provider();
  answer(response, said ?? {});
}

writeFileSync(stateFile, JSON.stringify(keys));
const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, origin);
  const name = pathname.match(/^\/test\/(\w+)$/)?.[1];
  if (name in controls) return control(name, request, response);
  requests[pathname] = (requests[pathname] ?? 0) + 1;
  const document = published(pathname, origin, publicKeys());
  return document ? answer(response, document) : current(request, response);
});
server.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${origin}`));
