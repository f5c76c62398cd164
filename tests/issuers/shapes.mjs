// What access tokens look like: as RFC 9068 has them, or as two large providers make them. Each of those has an issuer
// of its own, with discovery and keys at its own paths, beside the one that speaks OAuth.

const TENANT = "11111111-2222-3333-4444-555555555555";

const GROUPS = { alice: ["engineering", "on-call"], bob: ["finance"] };

const isUser = (payload) => payload.sub !== payload.client_id;

/** Changes the claims and the header of a token that is about to be signed. */
export const shapes = {
  rfc9068(token) {
    if (isUser(token.payload)) token.payload.groups = GROUPS[token.payload.sub] ?? [];
  },
  // Microsoft Entra, version 2.0. A user with many groups gets a pointer instead of them (an overage).
  entra(token, origin) {
    const { client_id, scope, jti, ...rest } = token.payload;
    const claims = { ...rest, iss: `${origin}/${TENANT}/v2.0`, ver: "2.0", tid: TENANT, azp: client_id, azpacr: "1", uti: jti };
    claims.oid = Buffer.from(rest.sub).toString("hex").padEnd(32, "0").slice(0, 32);
    if (!isUser(token.payload)) Object.assign(claims, { idtyp: "app", roles: ["Mcp.Invoke.All"] });
    else if (rest.sub === "overage") {
      claims.scp = scope;
      claims._claim_names = { groups: "src1" };
      claims._claim_sources = { src1: { endpoint: `${origin}/users/${claims.oid}/getMemberObjects` } };
    } else Object.assign(claims, { scp: scope, groups: GROUPS[rest.sub] ?? [] });
    token.payload = claims;
    token.header = { typ: "JWT" };
  },
  // A custom authorization server of Okta: scopes are a list, and the header says no type.
  okta(token, origin) {
    const { client_id, scope, ...rest } = token.payload;
    const claims = { ...rest, iss: `${origin}/oauth2/default`, ver: 1, cid: client_id, scp: (scope ?? "").split(" ") };
    if (isUser(token.payload)) Object.assign(claims, { uid: `00u${rest.sub}`, groups: GROUPS[rest.sub] ?? [] });
    token.payload = claims;
    token.header = { typ: undefined };
  },
};

/** What is published of those issuers: the JSON document at a path, if there is one. */
export function published(path, origin, publicKeys) {
  const entraIssuer = `${origin}/{tenantid}/v2.0`;
  const documents = {
    "/common/v2.0/.well-known/openid-configuration": () => ({ issuer: entraIssuer, jwks_uri: `${origin}/common/discovery/v2.0/keys` }),
    [`/${TENANT}/v2.0/.well-known/openid-configuration`]: () => ({
      issuer: `${origin}/${TENANT}/v2.0`, jwks_uri: `${origin}/common/discovery/v2.0/keys`,
    }),
    // Keys of Entra say no `alg`, and whose they are.
    "/common/discovery/v2.0/keys": () => ({
      keys: publicKeys.filter((key) => key.kty === "RSA").map(({ alg, ...key }) => ({ ...key, issuer: entraIssuer })),
    }),
    "/oauth2/default/.well-known/openid-configuration": () => ({ issuer: `${origin}/oauth2/default`, jwks_uri: `${origin}/oauth2/default/v1/keys` }),
    "/oauth2/default/v1/keys": () => ({ keys: publicKeys }),
  };
  return documents[path]?.();
}
