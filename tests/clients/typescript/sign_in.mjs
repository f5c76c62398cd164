// Somebody who signs in when a server asks for it, with nothing configured: an OAuthClientProvider for both versions of
// the SDK whose user is tests/issuers/browser.mjs.
import { signIn } from "../../issuers/browser.mjs";

/** A client that is new here. It keeps what it learns for as long as it lives. */
export class NewClient {
  redirectUrl = "http://127.0.0.1/callback";
  clientMetadata = {
    client_name: "airlock-test", redirect_uris: [this.redirectUrl], grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"], token_endpoint_auth_method: "none",
  };
  #kept = {};
  #back; // where the browser was sent, until the code has been used

  /** Asks for tokens that are bound to a key of `session` (a DpopSession of version 2), if there is one. */
  constructor(login, session) {
    this.login = login;
    if (session) this.dpop = () => session;
  }

  clientInformation = () => this.#kept.client;
  saveClientInformation = (client) => void (this.#kept.client = client);
  tokens = () => this.#kept.tokens;
  saveTokens = (tokens) => void (this.#kept.tokens = tokens);
  codeVerifier = () => this.#kept.verifier;
  saveCodeVerifier = (verifier) => void (this.#kept.verifier = verifier);
  discoveryState = () => this.#kept.discovery;
  saveDiscoveryState = (discovery) => void (this.#kept.discovery = discovery);

  async redirectToAuthorization(url) {
    this.#back = await signIn(url, this.login);
  }

  /** What the browser came back with, once. */
  comeBack() {
    const back = this.#back;
    this.#back = undefined;
    return back?.searchParams;
  }
}

/** Notes what a client requests, as "METHOD origin/path status": `server` is the MCP server's, others are `provider`. */
export function noted(requests, server, fetch) {
  return async (input, init) => {
    const url = new URL(input);
    const response = await fetch(input, init);
    const who = url.origin === new URL(server).origin ? "server" : "provider";
    requests.push(`${init?.method ?? "GET"} ${who}${url.pathname} ${response.status}`);
    return response;
  };
}
