// An issuer that is not ours: makes a key of the given algorithm with Node's own cryptography and signs one access
// token with it. Prints {"jwk": …, "token": …}. Usage: node sign.mjs ES256|RS256|EdDSA CLAIMS
import { generateKeyPairSync, sign } from "node:crypto";

const [algorithm, claims] = process.argv.slice(2);
const kinds = {
  ES256: ["ec", { namedCurve: "P-256" }, "sha256"],
  RS256: ["rsa", { modulusLength: 2048 }, "sha256"],
  EdDSA: ["ed25519", {}, null],
};
const [type, options, hash] = kinds[algorithm];
const { publicKey, privateKey } = generateKeyPairSync(type, options);
const jwk = { ...publicKey.export({ format: "jwk" }), alg: algorithm, use: "sig", kid: algorithm };
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = `${part({ alg: algorithm, typ: "at+jwt", kid: algorithm })}.${part(JSON.parse(claims))}`;
const signature = sign(hash, Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
console.log(JSON.stringify({ jwk, token: `${signed}.${signature.toString("base64url")}` }));
