// The authenticator app, its recovery codes, and the browsers that are trusted without it.

async function showFactor() {
  const { enabled, recovery_codes_left: left } = await signed("GET", "/v1/auth/mfa/status");
  const account = find('[data-view="account"]');
  fillIn(account, { factor: say(enabled ? "factor_on" : "factor_off"), left: say("codes_left", left) });
  find('[data-of="factor"]').classList.toggle("good", enabled);
  for (const part of account.querySelectorAll("[data-factor]")) part.hidden = part.dataset.factor !== (enabled ? "on" : "off");
  forgetSecrets();
  if (enabled) await listTrustedBrowsers();
}

function showCodes(codes) {
  fillList("codes", codes, (code) => ({ recovery_code: code }));
  find('[data-part="codes"]').hidden = codes.length === 0;
}

/** What is shown once stays nowhere on the page. */
function forgetSecrets() {
  const setup = find('[data-action="confirmFactor"]');
  setup.hidden = true;
  fillIn(setup, { secret: "" });
  setup.querySelector("a").removeAttribute("href");
  setup.querySelector("canvas").width = 0;
  showCodes([]);
}

async function drawPicture(canvas, png) {
  const bytes = Uint8Array.from(atob(png), (sign) => sign.charCodeAt(0));
  const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

async function listTrustedBrowsers() {
  const browsers = await signed("GET", "/v1/auth/trusted-browsers");
  fillList("browsers", browsers, ({ id, label, user_agent: agent, expires_at: until }) => {
    return { id, browser: label ?? agent ?? say("some_browser"), until: say("trusted_until", sayWhen(until)) };
  });
}

Object.assign(actions, {
  async setUpFactor(_, form) {
    const setup = await orSay(signed("POST", "/v1/auth/mfa/setup"), "conflict", "factor_on_already");
    const next = find('[data-action="confirmFactor"]');
    fillIn(next, { secret: setup.secret });
    next.querySelector("a").href = setup.otpauth_uri;
    await drawPicture(next.querySelector("canvas"), setup.qr_code_base64);
    form.hidden = true;
    next.hidden = false;
    next.elements.code.focus();
  },
  async confirmFactor(values) {
    const answer = orSay(signed("POST", "/v1/auth/mfa/enable", values), "authentication_required", "wrong_code");
    const { recovery_codes: codes } = await orSay(answer, "conflict", "factor_on_already");
    await showFactor();
    showCodes(codes);
  },
  async replaceCodes(values) {
    const { recovery_codes: codes } = await signed("POST", "/v1/auth/mfa/recovery-codes", values);
    await showFactor();
    showCodes(codes);
  },
  async removeFactor(values) {
    await signed("POST", "/v1/auth/mfa/disable", values);
    await showFactor();
  },
  async trustBrowser(values) {
    await signed("POST", "/v1/auth/trusted-browsers", values);
    await listTrustedBrowsers();
  },
  async distrustBrowser({ id }) {
    await signed("DELETE", `/v1/auth/trusted-browsers/${id}`);
    await listTrustedBrowsers();
  },
});
