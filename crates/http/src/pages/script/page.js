// What every page is made of: its parts, its words, its views.

const { base, csrfCookie, words: wordsAsText } = document.body.dataset;
const words = JSON.parse(wordsAsText);
/** What forms and buttons do, by their `data-action`. */
const actions = {};
let shown;

function find(selector) {
  return document.querySelector(selector);
}

function say(name, detail) {
  return (words[name] ?? words.failed).replace("{}", detail);
}

function sayWhen(time) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  return format.format(new Date(time));
}

function tell(text) {
  find("#notice").textContent = text;
}

function show(view) {
  for (const section of document.querySelectorAll("[data-view]")) section.hidden = section.dataset.view !== view;
  if (shown && shown !== view) find(`[data-view="${view}"] h1`).focus();
  shown = view;
}

/** Writes texts into the parts and the fields of these names. */
function fillIn(root, texts) {
  for (const [name, text] of Object.entries(texts)) {
    for (const part of root.querySelectorAll(`[data-of="${name}"]`)) part.textContent = text;
    for (const field of root.querySelectorAll(`[name="${name}"]`)) field.defaultValue = text;
  }
}

/** Fills a list with a copy of its template for every item. */
function fillList(name, items, textsOf) {
  const list = find(`[data-list="${name}"]`);
  const template = list.querySelector("template");
  const copies = items.map((item) => {
    const copy = template.content.cloneNode(true);
    fillIn(copy, textsOf(item));
    return copy;
  });
  list.replaceChildren(template, ...copies);
}

function labelOf(field) {
  const input = find(`:is(section:not([hidden]), dialog[open]) [name="${CSS.escape(field)}"]`);
  return input?.labels?.[0]?.firstChild.data.trim() ?? field;
}
