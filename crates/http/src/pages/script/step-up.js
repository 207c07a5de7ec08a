// Showing a second factor in a session, when something asks for a fresh one.

const question = find("dialog");
let answered = null;

/** Asks for a second factor; done when one was shown. */
function stepUp() {
  return new Promise((resolve, reject) => {
    answered = { resolve, reject };
    question.showModal();
  });
}

function steppedUp() {
  answered.resolve();
  question.close();
}

question?.addEventListener("close", () => answered.reject(new Refusal(say("no_factor"))));

Object.assign(actions, {
  async answerStepUp(values) {
    await orSay(signed("POST", "/v1/auth/mfa/verify", values), "authentication_required", "wrong_code");
    steppedUp();
  },
  async stepUpWithPasskey() {
    const signal = askAnew();
    const credential = await usePasskey(signed("POST", "/v1/auth/passkey/verify/begin"), signal);
    const answer = signed("POST", "/v1/auth/passkey/verify/complete", { credential });
    await orSay(answer, "authentication_required", "passkey_refused");
    steppedUp();
  },
  cancelStepUp: () => question.close(),
});
