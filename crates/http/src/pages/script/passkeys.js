// Passkeys: signing in with one, making, renaming and removing them.

const takesPasskeys = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
/** The server forgets what it began after five minutes: an offer is renewed before. */
const OFFER_MS = 240_000;
let asking = new AbortController();
let offer = null;

/** Browsers take one request at a time: the one before is given up. */
function askAnew() {
  asking.abort();
  asking = new AbortController();
  return asking.signal;
}

/** Has a passkey used for what was begun. */
async function usePasskey(begun, signal, mediation) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON((await begun).publicKey);
  return toJson(navigator.credentials.get({ publicKey, signal, mediation }));
}

/** Has a passkey made for what was begun. */
async function makePasskey(begun, signal) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON((await begun).publicKey);
  return toJson(navigator.credentials.create({ publicKey, signal }));
}

async function toJson(credential) {
  try {
    return (await credential).toJSON();
  } catch (error) {
    throw new Refusal(say(error.name === "InvalidStateError" ? "passkey_known" : "no_passkey"));
  }
}

async function signInWith(credential) {
  const answer = post("/v1/auth/passkey/login/complete", { credential });
  await proceed(await orSay(answer, "authentication_required", "passkey_refused"));
}

/** Lets the browser offer passkeys where the address is typed (conditional UI). */
async function offerPasskeys() {
  const signal = askAnew();
  offer = signal;
  if (!takesPasskeys || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  let credential;
  try {
    credential = await usePasskey(post("/v1/auth/passkey/login/begin"), signal, "conditional");
  } catch {
    return; // Nobody asked for it.
  }
  try {
    await signInWith(credential);
  } catch (error) {
    tell(inWords(error));
    offerPasskeys();
  }
}

/** An offer that stands, and nothing else that the browser was asked for since. */
function renewOffer() {
  if (offer && !offer.aborted && !document.hidden) offerPasskeys();
}

async function listPasskeys() {
  const passkeys = await signed("GET", "/v1/users/me/passkeys");
  fillList("passkeys", passkeys, ({ id, label, last_used_at: used }) => {
    return { id, label, used: used ? say("last_used", sayWhen(used)) : say("never_used") };
  });
}

Object.assign(actions, {
  async signInWithPasskey({ email }) {
    const signal = askAnew();
    try {
      const begun = post("/v1/auth/passkey/login/begin", email && { email });
      await signInWith(await usePasskey(begun, signal));
    } catch (error) {
      offerPasskeys();
      throw error;
    }
  },
  async addPasskey({ label }) {
    const signal = askAnew();
    const begun = orSay(signed("POST", "/v1/users/me/passkeys/register/begin"), "conflict", "passkeys_full");
    const credential = await makePasskey(begun, signal);
    const kept = signed("POST", "/v1/users/me/passkeys/register/complete", { credential, label });
    await orSay(kept, "conflict", "passkey_known");
    await listPasskeys();
  },
  async renamePasskey({ id, label }) {
    await signed("PATCH", `/v1/users/me/passkeys/${id}`, { label });
    await listPasskeys();
  },
  async removePasskey({ id }) {
    await signed("DELETE", `/v1/users/me/passkeys/${id}`);
    await listPasskeys();
  },
});
