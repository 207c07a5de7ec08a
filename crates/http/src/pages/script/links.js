// What the links in mails open.

// The token is kept here alone: not in the address bar, the history, or anything that is shown.
const token = new URLSearchParams(location.search).get("token");
if (location.search) history.replaceState(null, "", location.pathname + location.hash);

async function redeem(path, more) {
  await orSay(post(path, { token, ...more }), "authentication_required", "link_void");
  show("done");
}

Object.assign(actions, {
  verifyEmail: () => redeem("/v1/auth/email/verify"),
  resetPassword: (values) => redeem("/v1/auth/password/reset", values),
  disownSession: () => redeem("/v1/auth/session/disown"),
});
