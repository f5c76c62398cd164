#!/bin/sh
# A client for the conformance suite's scenarios: signs in with a token that is bound to a key and calls a tool.
# Everything goes through the proxy at the address in VIA, if there is one.
here=$(dirname "$0")
plan='{"steps":[{"list":"tools"},{"call":"test-tool","arguments":{}}]}'
[ -z "$VIA" ] || export NODE_OPTIONS="--import $here/via.mjs"
echo "$plan" | exec node "$here/../clients/typescript/session.mjs" --sign-in alice --dpop ES256 "$1"
