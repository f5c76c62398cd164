// An MCP server that protects itself, with what the TypeScript SDK has for it: the yardstick for servers behind the
// gateway. It has one tool, `echo`, which answers who calls.
//
//   protected.mjs PORT ISSUER SCOPE      its resource is http://127.0.0.1:PORT/mcp; prints "listening on URL"
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// The packages are the clients'.
const { resolve } = createRequire(new URL("../clients/typescript/package.json", import.meta.url));
const from = (name) => import(pathToFileURL(resolve(name)));
const sdk = (path) => from(`@modelcontextprotocol/sdk/server/${path}.js`);

const { McpServer } = await sdk("mcp");
const { StreamableHTTPServerTransport } = await sdk("streamableHttp");
const { requireBearerAuth } = await sdk("auth/middleware/bearerAuth");
const { getOAuthProtectedResourceMetadataUrl, mcpAuthMetadataRouter } = await sdk("auth/router");
const { InvalidTokenError } = await sdk("auth/errors");
const { createRemoteJWKSet, jwtVerify } = await from("jose");
const { default: express } = await from("express");
const { z } = await from("zod");

const [port, issuer, scope] = process.argv.slice(2);
const resource = new URL(`http://127.0.0.1:${port}/mcp`);
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

async function verifyAccessToken(token) {
  const verified = await jwtVerify(token, keys, { issuer, audience: resource.href, typ: "at+jwt" }).catch((error) => {
    throw new InvalidTokenError(error.message);
  });
  const { client_id: clientId, scope: scopes, exp: expiresAt, sub } = verified.payload;
  return { token, clientId, scopes: scopes.split(" "), expiresAt, resource, extra: { sub } };
}

async function answer(request, response) {
  const server = new McpServer({ name: "protected", version: "1.0.0" });
  server.registerTool("echo", { inputSchema: { message: z.string() } }, ({ message }, { authInfo }) => ({
    content: [{ type: "text", text: `${authInfo.extra.sub}: ${message}` }],
  }));
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
}

const application = express();
application.use(mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: resource, scopesSupported: [scope] }));
const protection = { verifier: { verifyAccessToken }, requiredScopes: [scope], resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource) };
application.post("/mcp", requireBearerAuth(protection), express.json(), answer);
application.all("/mcp", (request, response) => response.status(405).end());
application.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${resource}`));
