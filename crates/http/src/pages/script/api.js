// Asking the API, and saying in words for people what it refuses.

/** Why something did not work, in words for people. */
class Refusal extends Error {}

function inWords(error) {
  return error instanceof Refusal ? error.message : say("failed");
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

function post(path, body) {
  return request("POST", path, body);
}

/**
 * As `request`, for somebody who is signed in. The CSRF cookie ends with the access token: then both are renewed. Whoever
 * is asked for a second factor shows it, and asks again.
 */
async function signed(method, path, body) {
  if (!csrfToken()) await post("/v1/auth/refresh");
  try {
    return await request(method, path, body);
  } catch (error) {
    if (error.code !== "mfa_required") throw error;
  }
  await stepUp();
  return request(method, path, body);
}

/** Says something else when an answer has this code. */
async function orSay(answer, code, name) {
  try {
    return await answer;
  } catch (error) {
    throw error.code === code ? new Refusal(say(name)) : error;
  }
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
