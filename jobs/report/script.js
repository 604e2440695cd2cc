"use strict";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const cards = all(".card");

// A picture is embedded where it is shown first; repeats take it from there.
const sources = new Map(all("img[data-key][src]").map((img) => [img.dataset.key, img.src]));
for (const img of all("img[data-key]:not([src])")) img.src = sources.get(img.dataset.key);

// Two pictures whose matched points are drawn stand in one height, as the drawing has it. The page allows no style
// attributes, so that the shapes are set here; without a script the pictures stand apart and nothing is drawn.
for (const pair of all("[data-columns]")) {
  pair.style.setProperty("--columns", pair.dataset.columns);
  pair.style.setProperty("--aspect", pair.dataset.aspect);
  pair.classList.add("joined");
}

// Filters: a tile, a label, an error and every word of the search.
const fold = (text) => text.normalize("NFKC").toLowerCase();
const haystacks = new Map(cards.map((card) => [card, fold(card.dataset.search)]));
const search = one("#search");
const tiles = all("[data-tile]");

const covers = (wanted, label) => label === wanted || label.startsWith(wanted + "/");

const tests = {
  tile: (card, kind) => (kind === "incomplete" ? card.dataset.error !== "" : card.dataset.suggestion.split(" ").includes(kind)),
  label: (card, wanted) => card.dataset.labels.split("\n").some((label) => covers(wanted, label)),
  error: (card, code) => card.dataset.error.split(" ").includes(code),
  search: (card, text) => text.split(/\s+/).every((word) => haystacks.get(card).includes(word)),
};

const wanted = () => ({
  tile: one("[data-tile][aria-pressed=true]")?.dataset.tile,
  label: one("#label")?.value,
  error: one("#error")?.value,
  search: fold(search.value).trim(),
});

function filter() {
  const active = Object.entries(wanted()).filter(([, value]) => value);
  for (const card of cards) card.hidden = !active.every(([name, value]) => tests[name](card, value));
  const left = cards.filter((card) => !card.hidden).length;
  one("#shown").value = `${left} of ${cards.length}`;
  one("#nothing").hidden = left > 0 || cards.length === 0;
}

function press(tile) {
  for (const other of tiles) other.setAttribute("aria-pressed", other === tile && tile.getAttribute("aria-pressed") !== "true");
  filter();
}

for (const tile of tiles) tile.addEventListener("click", () => press(tile));
for (const kind of ["input", "change"]) one(".tools").addEventListener(kind, filter);
one(".tools").addEventListener("submit", (event) => event.preventDefault());
one("#clear").addEventListener("click", () => {
  one(".tools").reset();
  press(null);
});

// Pictures are blurred until looked at on purpose; nothing remembers the choice.
const pictures = one("#pictures");

function togglePictures() {
  const show = document.documentElement.classList.toggle("show-pictures");
  pictures.setAttribute("aria-pressed", show);
  pictures.textContent = show ? "Blur pictures" : "Show pictures";
}

pictures.addEventListener("click", togglePictures);

// The viewer goes through the pictures of one video, each once: copies beside what they are of, evidence in order of time.
const viewer = one("#viewer");
let gallery = [];
let place = 0;

const picturesOf = (card) => [".copies img", ".frames img", ".hero img"].flatMap((part) => all(part, card));
const pageOf = (img) => (img.closest(".pair") ? all("img", img.closest(".pair")) : [img]);
const nameOf = (page) => page.map((img) => img.dataset.key).join(" ");

function galleryOf(card) {
  const found = new Map();
  for (const page of picturesOf(card).map(pageOf)) {
    if (!found.has(nameOf(page))) found.set(nameOf(page), page);
  }
  return [...found.values()];
}

function show(shown, img) {
  shown.hidden = !img;
  if (!img) return shown.removeAttribute("src");
  shown.src = img.src;
  shown.alt = img.alt;
  shown.classList.toggle("wide", img.naturalWidth > img.naturalHeight);
}

function turn(to) {
  place = Math.min(Math.max(to, 0), gallery.length - 1);
  const page = gallery[place];
  all("img", viewer).forEach((shown, number) => show(shown, page[number]));
  one(".sheet", viewer).classList.toggle("two", page.length === 2);
  one("#caption").textContent = page.map((img) => img.alt).join("\n");
  one("#place").textContent = `${place + 1} of ${gallery.length}`;
  one("#previous").disabled = place === 0;
  one("#next").disabled = place === gallery.length - 1;
}

function view(card, img) {
  gallery = galleryOf(card);
  turn(gallery.findIndex((page) => nameOf(page) === nameOf(pageOf(img))));
  hideTip();
  viewer.showModal();
}

function openFrom(target) {
  const opener = target.closest(".picture, [data-opens]");
  if (!opener) return;
  const card = opener.closest(".card");
  const { opens } = opener.dataset;
  view(card, opens ? picturesOf(card).find((img) => img.dataset.key === opens) : one("img", opener));
}

one("main").addEventListener("click", (event) => openFrom(event.target));
one("#previous").addEventListener("click", () => turn(place - 1));
one("#next").addEventListener("click", () => turn(place + 1));
viewer.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) turn(place + step);
});
for (const dialog of all("dialog")) {
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

// Tooltips for the mouse and for focus.
const tip = one("#tip");

let owner = null;

function showTip(target) {
  owner = target.closest?.("[data-tip]");
  if (!owner) return hideTip();
  const lines = [Object.assign(document.createElement("span"), { textContent: owner.dataset.tip })];
  if (owner.dataset.zh) {
    lines.push(Object.assign(document.createElement("span"), { textContent: owner.dataset.zh, lang: "zh-Hans" }));
  }
  tip.replaceChildren(...lines);
  tip.hidden = false;
  placeTip();
}

function placeTip() {
  if (tip.hidden) return;
  const box = (owner.matches(".mark") ? one(".stretch", owner) : owner).getBoundingClientRect();
  const left = Math.min(Math.max(box.left, 8), innerWidth - tip.offsetWidth - 8);
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : box.bottom + 8}px`;
}

function hideTip() {
  tip.hidden = true;
}

for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, (event) => showTip(event.target));
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", placeTip, { capture: true, passive: true });

// Keys.
const focusOf = (card) => one(":scope > details > summary", card) ?? card;

function move(step) {
  const shown = cards.filter((card) => !card.hidden);
  const now = shown.indexOf(document.activeElement?.closest?.(".card"));
  const card = shown[now < 0 ? 0 : Math.min(Math.max(now + step, 0), shown.length - 1)];
  if (!card) return;
  focusOf(card).focus({ preventScroll: true });
  card.scrollIntoView({ block: card.offsetHeight > innerHeight * 0.8 ? "start" : "nearest" });
}

const opens = (target) => (target.matches?.(".mark[data-opens]") ? () => openFrom(target) : null);

const keys = {
  j: () => move(1),
  k: () => move(-1),
  p: togglePictures,
  "/": () => search.focus(),
  "?": () => one("#keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    hideTip();
    if (event.target === search) search.blur();
  }
  const typing = event.target.matches?.("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
  const act = event.key === "Enter" ? opens(event.target) : keys[event.key];
  if (!act) return;
  event.preventDefault(); // or the key would also act on what gets the focus
  act();
});
one("#help").addEventListener("click", keys["?"]);
