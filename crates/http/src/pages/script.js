"use strict";
(() => {
  const { base, csrfCookie, words: wordsAsText } = document.body.dataset;
  const words = JSON.parse(wordsAsText);
  const find = (selector) => document.querySelector(selector);
  const notice = find("#notice");

  // The token of a link is kept here alone: not in the address bar, the history, or anything that is shown.
  const token = new URLSearchParams(location.search).get("token");
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);

  /** The error of an answer, in words for people. */
  class Refusal extends Error {}

  function say(name, detail) {
    return (words[name] ?? words.failed).replace("{}", detail);
  }

  function csrfToken() {
    const pairs = document.cookie.split("; ").map((pair) => pair.split("="));
    return pairs.find(([name]) => name === csrfCookie)?.[1];
  }

  async function request(method, path, body) {
    const headers = {};
    const csrf = csrfToken();
    if (csrf) headers["X-CSRF-Token"] = csrf;
    if (body) headers["Content-Type"] = "application/json";
    const options = { method, headers, body: body && JSON.stringify(body), cache: "no-store", redirect: "error" };
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw new Refusal(say("offline"));
    }
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw refusal(response, answer?.error);
    return answer;
  }

  function refusal(response, error) {
    const refused = new Refusal(explain(response, error));
    refused.code = error?.code;
    return refused;
  }

  function explain(response, error) {
    switch (error?.code) {
      case "invalid_input":
        return (error.fields ?? []).map((fault) => `${labelOf(fault.field)}: ${fault.message}`).join("\n");
      case "rate_limited":
        return say("rate_limited", response.headers.get("Retry-After") ?? "60");
      case "forbidden":
        return say("foreign", `${base}/account`);
      default:
        return say(error?.code ?? "failed");
    }
  }

  function labelOf(field) {
    return find(`section:not([hidden]) [name="${CSS.escape(field)}"]`)?.labels?.[0]?.firstChild.data.trim() ?? field;
  }

  const post = (path, body) => request("POST", path, body);

  /** As `request`, for somebody who is signed in. The CSRF cookie ends with the access token: then both are renewed. */
  async function signed(method, path, body) {
    if (!csrfToken()) await post("/v1/auth/refresh");
    return request(method, path, body);
  }

  /** For what a link opens. */
  async function redeem(path, more) {
    try {
      await post(path, { token, ...more });
    } catch (error) {
      throw error.code === "authentication_required" ? new Refusal(say("link_void")) : error;
    }
    show("done");
  }

  function tell(text) {
    notice.textContent = text;
  }

  let shown;
  function show(view) {
    for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.dataset.view !== view;
    if (shown && shown !== view) find(`[data-view="${view}"] h1`).focus();
    shown = view;
  }

  let user = null;
  /** The view that the fragment of the address names. */
  function follow() {
    const named = location.hash.slice(1);
    if (user) return show(named === "forgot" ? named : "account");
    show(["code", "register", "forgot"].includes(named) ? named : "sign-in");
  }

  function leaveFragment() {
    history.replaceState(null, "", location.pathname);
  }

  async function welcome() {
    user = (await signed("GET", "/v1/auth/session")).user;
    const details = {
      email: user.email,
      name: user.display_name ?? "",
      method: words["method_" + user.auth_method] ?? user.auth_method,
      verified: say(user.email_verified ? "verified" : "unverified"),
    };
    for (const [name, text] of Object.entries(details)) find(`[data-of="${name}"]`).textContent = text;
    for (const part of document.querySelectorAll('[data-with="name"]')) part.hidden = !user.display_name;
    find('[data-of="verified"]').classList.toggle("good", user.email_verified);
    find('[data-action="sendVerification"]').hidden = user.email_verified;
  }

  async function enter() {
    await welcome();
    leaveFragment();
    follow();
  }

  function leave(text) {
    user = null;
    leaveFragment();
    follow();
    tell(text);
  }

  function inWords(error) {
    return error instanceof Refusal ? error.message : say("failed");
  }

  const actions = {
    async signIn(values) {
      await post("/v1/auth/login", values);
      await enter();
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
      await post("/v1/auth/email-otp/verify", values);
      form.hidden = true;
      find('[data-action="requestCode"]').hidden = false;
      await enter();
    },
    async forgot(values) {
      await post("/v1/auth/password/forgot", values);
      tell(say("mailed"));
    },
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
    verifyEmail: () => redeem("/v1/auth/email/verify"),
    resetPassword: (values) => redeem("/v1/auth/password/reset", values),
    disownSession: () => redeem("/v1/auth/session/disown"),
  };

  async function act(form) {
    const [fault, button] = [form.querySelector(".fault"), form.querySelector("button")];
    // A field that is left empty is not sent.
    const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
    fault.textContent = "";
    tell("");
    button.disabled = true;
    try {
      await actions[form.dataset.action](values, form);
      form.reset();
    } catch (error) {
      const text = inWords(error);
      if (user && error.code === "authentication_required") leave(text);
      else fault.textContent = text;
    } finally {
      button.disabled = false;
    }
  }

  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      act(form);
    });
  }

  async function start() {
    if (!find('[data-view="account"]')) return show(token ? "ask" : "incomplete");
    addEventListener("hashchange", () => {
      tell("");
      follow();
    });
    try {
      await welcome();
    } catch (error) {
      if (error.code !== "authentication_required") tell(inWords(error));
    }
    follow();
  }

  start();
})();
