// Validates access tokens with jose: validate.mjs ISSUER KEY_SET_URL
//
// Each line {"token": ...} is answered with {"accepted": claims} or {"refused": reason}.

import { createInterface } from "node:readline";

// recipe begins
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

// Keeps the keys for five minutes. An unknown kid asks for them anew, every 30 seconds at most.
function keySet(url) {
  return createRemoteJWKSet(new URL(url), { cacheMaxAge: 300_000, cooldownDuration: 30_000, timeoutDuration: 5_000 });
}

async function validate(token, keys, issuer) {
  const { payload } = await jwtVerify(token, keys, { issuer, algorithms: ["RS256"], requiredClaims: ["exp", "sub"] });
  return payload;
}
// recipe ends

const [issuer, url] = process.argv.slice(2);
const keys = keySet(url);
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { accepted: await validate(JSON.parse(line).token, keys, issuer) };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    answer = { refused: error.message };
  }
  console.log(JSON.stringify(answer));
}
