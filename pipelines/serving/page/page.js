// One upload: ask /v1/check, and lay the answer out. Everything that came is text, never markup.
"use strict";

const at = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const WORDS = { pass: "Pass", review: "Review", block: "Block" };
let file = null; // what was dropped or chosen
let asking = null; // the request that runs

const make = (name, text, ...children) => {
  const made = document.createElement(name);
  if (text !== null && text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
};

const clock = (ms) => {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
};

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const score = (value) => (typeof value === "number" ? value.toFixed(2) : "");

function choose(found) {
  file = found ?? null;
  at("chosen").textContent = file ? `${file.name}, ${size(file.size)}` : "No file is chosen.";
}

function say(sentence) {
  at("error").textContent = sentence;
  at("error").hidden = !sentence;
}

function request(text, key) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  if (!file) {
    return { method: "POST", headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify({ title: text }) };
  }
  const body = new FormData();
  body.append("file", file, "upload"); // its name stays here
  if (text) body.append("title", text);
  return { method: "POST", headers, body };
}

async function sentence(response) {
  let said = null;
  try {
    said = (await response.json())?.error?.message;
  } catch { /* no JSON: a proxy, say */ }
  const later = response.headers.get("retry-after");
  return `${said || `The service answered ${response.status}`}.`.replace(/\.\.$/, ".") + (later ? ` Try again in ${later} s.` : "");
}

async function ask(event) {
  event.preventDefault();
  const text = at("text").value.trim();
  say("");
  at("result").hidden = true;
  if (!file && !text) return say("Choose a file or write a text first.");
  asking?.abort();
  const mine = (asking = new AbortController());
  at("progress").textContent = "Checking…";
  at("check").disabled = true;
  try {
    const options = { ...request(text, at("key").value.trim()), signal: mine.signal, credentials: "omit", redirect: "error" };
    const response = await fetch("/v1/check?evidence=true", options);
    if (response.ok) show(await response.json());
    else say(await sentence(response));
  } catch (error) {
    if (error.name !== "AbortError") say("The service could not be reached.");
  } finally {
    if (asking === mine) {
      asking = null;
      at("progress").textContent = "";
      at("check").disabled = false;
    }
  }
}

function part(name, items) {
  at(name).replaceChildren(...items);
  at(`part-${name}`).hidden = items.length === 0;
}

function show(answer) {
  const verdict = answer.verdict ?? answer;
  const kind = verdict.suggestion;
  at("verdict").className = kind in WORDS ? kind : "";
  at("verdict").textContent = WORDS[kind] ?? String(kind);
  at("summary").textContent = summary(verdict);
  const segments = verdict.segments ?? [];
  part("segments", segments.map(row));
  at("timeline").replaceChildren(...lanes(segments, verdict.duration_ms));
  part("evidence", Object.entries(answer.evidence ?? {}).sort(([one], [other]) => one - other).map(picture));
  part("transcript", (answer.transcript ?? []).map((line) => make("li", null, make("time", clock(line.start_ms)), line.text)));
  part("matches", (answer.matches ?? []).map(match));
  at("raw").textContent = JSON.stringify({ ...answer, evidence: undefined }, null, 2);
  at("result").hidden = false;
  at("verdict").focus();
}

function summary(verdict) {
  const labels = (verdict.labels ?? []).map((label) => `${label.label} (${label.form}, ${score(label.score)})`);
  const faults = verdict.complete === false ? [verdict.error_message ?? "Not everything could be looked at"] : [];
  return [...(labels.length ? labels : ["No label"]), ...faults, verdict.bundle, verdict.policy].filter(Boolean).join(" · ");
}

function row(segment) {
  const of = segment.reference_id ?? segment.text ?? "";
  const cells = [segment.form, clock(segment.start_ms), clock(segment.end_ms), score(segment.score), of].map((text) => make("td", text));
  const head = make("th", segment.label);
  head.scope = "row";
  return make("tr", null, head, ...cells);
}

function lanes(segments, durationMs) {
  const end = Math.max(durationMs ?? 0, ...segments.map((segment) => segment.end_ms), 1);
  if (!(durationMs > 0)) return [];
  const labels = [...new Set(segments.map((segment) => segment.label))];
  return labels.map((label) => lane(label, segments.filter((segment) => segment.label === label), end));
}

function lane(label, segments, end) {
  const drawing = document.createElementNS(SVG, "svg");
  const spans = segments.map((segment) => `${clock(segment.start_ms)} to ${clock(segment.end_ms)}`);
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `${label}: ${spans.join(", ")}, of ${clock(end)}`);
  for (const segment of segments) {
    const mark = document.createElementNS(SVG, "rect");
    const width = Math.max(0.9, (100 * (segment.end_ms - segment.start_ms)) / end);
    const start = Math.min(100 - width, (100 * segment.start_ms) / end);
    const places = { class: "mark", x: `${start}%`, width: `${width}%`, y: "15%", height: "70%", rx: "2" };
    for (const [name, value] of Object.entries(places)) mark.setAttribute(name, value);
    drawing.append(mark);
  }
  const made = make("div", null, make("span", label), drawing);
  made.className = "lane";
  return made;
}

function picture([ms, data]) {
  const shown = make("img");
  shown.src = `data:image/webp;base64,${data}`;
  shown.alt = `Evidence at ${clock(Number(ms))}`;
  return make("li", null, make("figure", null, shown, make("figcaption", clock(Number(ms)))));
}

function match(found) {
  const spans = `${clock(found.start_ms)} to ${clock(found.end_ms)} is ${clock(found.ref_start_ms)} to ${clock(found.ref_end_ms)}`;
  return make("li", `${found.reference_id} (${found.form}, ${score(found.score)}): ${spans}`);
}

function clear() {
  asking?.abort();
  choose(null);
  say("");
  at("result").hidden = true;
}

at("ask").addEventListener("submit", ask);
at("ask").addEventListener("reset", clear);
at("file").addEventListener("change", () => choose(at("file").files[0]));
at("pictures").addEventListener("click", () => {
  const shown = at("evidence").classList.toggle("shown");
  at("pictures").setAttribute("aria-pressed", String(shown));
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer?.files.length) choose(event.dataTransfer.files[0]);
  });
}
