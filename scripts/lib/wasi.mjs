// Runs a WebAssembly command in V8: `node --no-warnings --no-liftoff scripts/lib/wasi.mjs FILE [ARGUMENT...]`.
// Without liftoff V8 optimises all code before it runs, as it does in Envoy.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [file, ...commandArguments] = process.argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [file, ...commandArguments], returnOnExit: true });
const module = await WebAssembly.compile(await readFile(file));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
