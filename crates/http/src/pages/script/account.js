// The account of whoever is signed in.

let user = null;

/** The view that the fragment of the address names. */
function follow() {
  const named = location.hash.slice(1);
  if (user) return show(named === "forgot" ? named : "account");
  const views = due ? ["factor", "recovery"] : [];
  show([...views, "code", "register", "forgot"].includes(named) ? named : "sign-in");
}

function leaveFragment() {
  history.replaceState(null, "", location.pathname);
}

async function welcome() {
  user = (await signed("GET", "/v1/auth/session")).user;
  const account = find('[data-view="account"]');
  fillIn(account, {
    email: user.email,
    name: user.display_name ?? "",
    method: words["method_" + user.auth_method] ?? user.auth_method,
    verified: say(user.email_verified ? "verified" : "unverified"),
  });
  for (const part of account.querySelectorAll('[data-with="name"]')) part.hidden = !user.display_name;
  find('[data-of="verified"]').classList.toggle("good", user.email_verified);
  find('[data-action="sendVerification"]').hidden = user.email_verified;
  await Promise.all([listPasskeys(), showFactor()]);
}

async function enter() {
  askAnew();
  due = null;
  await welcome();
  leaveFragment();
  follow();
}

function leave(text) {
  user = null;
  forgetSecrets();
  leaveFragment();
  follow();
  tell(text);
  offerPasskeys();
}

Object.assign(actions, {
  async sendVerification() {
    await signed("POST", "/v1/auth/email/send-verification");
    tell(say("verification_sent"));
  },
  async changeEmail(values) {
    await signed("POST", "/v1/users/me/email", values);
    tell(say("new_address_mailed"));
  },
  async signOut() {
    await signed("POST", "/v1/auth/logout");
    leave(say("signed_out"));
  },
});
