// Starts the official `server-everything` MCP server on 127.0.0.1 only.
// The argument picks the transport: `streamableHttp` (the default) or `sse`, that of 2024-11-05.
// PORT picks the port (default 0: any free one). Once it listens, one line on stdout says where; its log goes to stderr.
import { createRequire } from "node:module";
import { Server } from "node:net";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [transport = "streamableHttp"] = process.argv.slice(2);
const path = { streamableHttp: "/mcp", sse: "/sse" }[transport];

console.log = console.error; // stdout carries the address and nothing else

// The server calls `listen(port)` without a host, which would open it to the network.
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  this.once("listening", () => {
    process.stdout.write(`listening on http://127.0.0.1:${this.address().port}${path}\n`);
  });
  return listen.call(this, Number(port), "127.0.0.1", ...rest);
};

process.env.PORT ??= "0";
const packages = createRequire(new URL("../clients/typescript/package.json", import.meta.url));
const manifest = packages.resolve("@modelcontextprotocol/server-everything/package.json");
await import(pathToFileURL(join(dirname(manifest), `dist/transports/${transport}.js`)));
