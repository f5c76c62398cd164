// Somebody with a browser who signs in and agrees to everything: follows redirects, keeps cookies, fills in forms.
//
//   browser.mjs URL LOGIN       prints where it was sent in the end: the redirect URI with its parameters
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const STEPS = 30;

const unescaped = (text) => text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

function attributes(tag) {
  const found = [...tag.matchAll(/([a-z-]+)\s*=\s*"([^"]*)"/gi)];
  return Object.fromEntries(found.map(([, name, value]) => [name.toLowerCase(), unescaped(value)]));
}

/** The first form of a page, filled in. */
function filledIn(page, login) {
  const form = page.match(/<form\b([^>]*)>(.*?)<\/form>/is);
  if (!form) return undefined;
  const fields = new URLSearchParams();
  for (const [input] of form[2].matchAll(/<input\b[^>]*>/gis)) {
    const { name, value, type } = attributes(input);
    if (!name || type === "submit") continue;
    fields.set(name, { login, password: "any" }[name] ?? value ?? "");
  }
  return { action: attributes(form[1]).action, fields };
}

/** Goes from `start` until it is sent to a URL that `wanted` takes, or to a page with nothing left to fill in. */
export async function browse(start, login, wanted = () => false) {
  const cookies = new Map();
  let url = new URL(start);
  let body;
  for (let step = 0; step < STEPS; step++) {
    const cookie = [...(cookies.get(url.host) ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(cookie && { cookie }) };
    const response = await fetch(url, { method: body ? "POST" : "GET", body, headers, redirect: "manual" });
    const jar = cookies.get(url.host) ?? new Map();
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      jar.set(name, value);
    }
    cookies.set(url.host, jar);
    body = undefined;
    if (response.status >= 300 && response.status < 400) {
      url = new URL(response.headers.get("location"), url);
      if (wanted(url)) return url;
      continue;
    }
    const page = await response.text();
    if (!response.ok) throw new Error(`${url.pathname} says ${response.status}: ${page.replace(/<[^>]*>/g, " ").slice(-500)}`);
    const form = filledIn(page, login);
    if (!form) return url;
    url = new URL(form.action, url);
    body = form.fields;
  }
  throw new Error(`still not done at ${url.pathname}`);
}

/** Signs in at an authorization URL and comes back with where it redirects to. */
export function signIn(authorizationUrl, login) {
  const redirect = new URL(authorizationUrl).searchParams.get("redirect_uri");
  return browse(authorizationUrl, login, (url) => url.href.startsWith(redirect));
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [url, login] = process.argv.slice(2);
  console.log((await signIn(url, login)).href);
}
