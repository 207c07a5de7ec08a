// Signing up and in, until there is a session.

/** What a sign-in was answered with that lacks its second factor. */
let due = null;

/** Goes on with the answer to a sign-in. */
async function proceed(answer) {
  if (answer.status !== "mfa_required") return enter();
  due = answer.mfa_token;
  location.hash = "factor";
}

Object.assign(actions, {
  async signIn(values) {
    await proceed(await post("/v1/auth/login", values));
  },
  async register(values) {
    await post("/v1/auth/register", values);
    await enter();
  },
  async requestCode(values, form) {
    await post("/v1/auth/email-otp/request", values);
    const next = find('[data-action="enterCode"]');
    next.elements.email.value = values.email;
    form.hidden = true;
    next.hidden = false;
    next.elements.code.focus();
  },
  async enterCode(values, form) {
    const answer = await post("/v1/auth/email-otp/verify", values);
    form.hidden = true;
    find('[data-action="requestCode"]').hidden = false;
    await proceed(answer);
  },
  async answerChallenge({ trust, ...factor }) {
    const answer = post("/v1/auth/mfa/challenge", { mfa_token: due, ...factor });
    await orSay(answer, "authentication_required", "wrong_code");
    if (trust) await signed("POST", "/v1/auth/trusted-browsers").catch((error) => tell(inWords(error)));
    await enter();
  },
  async forgot(values) {
    await post("/v1/auth/password/forgot", values);
    tell(say("mailed"));
  },
});
