// Begins when every part is known: sends forms to their actions, and shows the first view.

async function act(form, button) {
  const fault = form.querySelector(".fault");
  // A field that is left empty is not sent.
  const values = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  fault.textContent = "";
  tell("");
  button.disabled = true;
  try {
    await actions[button.dataset.action ?? form.dataset.action](values, form);
    form.reset();
  } catch (error) {
    const text = inWords(error);
    if (user && error.code === "authentication_required") leave(text);
    else fault.textContent = text;
  } finally {
    button.disabled = false;
  }
}

async function start() {
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.target, event.submitter ?? event.target.querySelector("button"));
  });
  if (!find('[data-view="account"]')) return show(token ? "ask" : "incomplete");
  for (const part of document.querySelectorAll("[data-passkeys]")) part.hidden = !takesPasskeys;
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
  if (!user) offerPasskeys();
  setInterval(renewOffer, OFFER_MS);
}

start();
