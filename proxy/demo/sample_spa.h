// SPDX-License-Identifier: Apache-2.0
// The single-page application that `headgate demo` shows: the same files as examples/spa-api/dist (a test compares them).
// It calls /api/hello, which answers {"message", "pool", "server"}, and listens to /api/events, a stream of
// {"time", "server"}; it reads no other path.
#pragma once

#include <array>
#include <string_view>

namespace headgate::proxy {

struct SampleFile {
  std::string_view path;  ///< below the root, with a leading slash
  std::string_view content;
};

// clang-format off
inline constexpr std::array<SampleFile, 4> kSampleSpa = {{
  {"/index.html", R"spa(<!doctype html>
<!-- SPDX-License-Identifier: Apache-2.0 -->
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="description" content="A small single-page application behind headgate">
  <title>headgate sample</title>
  <base href="/">
  <link rel="icon" href="/favicon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/assets/style-7Rb4mpee.css">
  <script type="module" src="/assets/app-FAv6bWJI.js"></script>
</head>
<body>
  <header>
    <a class="brand" href="/" data-link><img src="/favicon.svg" alt="" width="28" height="28">headgate sample</a>
    <nav>
      <a href="/" data-link>Answers</a>
      <a href="/clock" data-link>Clock</a>
      <a href="/orders/42" data-link>Deep link</a>
    </nav>
  </header>
  <main id="view" tabindex="-1"><noscript><p>This page needs JavaScript.</p></noscript></main>
  <footer>
    <span>Page served at <code id="place"></code></span>
    <span id="stream" class="state">event stream: connecting</span>
  </footer>
</body>
</html>
)spa"},
  {"/favicon.svg", R"spa(<!-- SPDX-License-Identifier: Apache-2.0 -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <rect width="32" height="32" rx="7" fill="#0b6bcb"/>
  <g fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round">
    <path d="M9 7v18M23 7v18"/>
    <path d="M9 12.5h14" opacity=".95"/>
    <path d="M13.5 17.2c1.6-1.3 3.4 1.3 5 0M13.5 22c1.6-1.3 3.4 1.3 5 0" opacity=".8"/>
  </g>
</svg>
)spa"},
  {"/assets/app-FAv6bWJI.js", R"spa(// SPDX-License-Identifier: Apache-2.0
// The sample application: three views, an API call, an event stream. No framework, no build step.

const view = document.getElementById("view");
const stream = { source: null, last: null, received: 0, breaks: 0, watchers: new Set() };
const answers = { list: [], counts: new Map(), total: 0, timer: 0, pending: 0 };
const kept = 480;
const atOnce = 6;

// Builds an element; children that are strings become text, so nothing an API says is ever taken for markup.
function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function colour(pool) {
  return pool === "blue" || pool === "green" ? pool : "";
}

// --- who answers ---------------------------------------------------------------------------------------------------

async function ask() {
  const begun = performance.now();
  try {
    const response = await fetch("/api/hello", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (!response.ok) return { failure: `${response.status} ${response.statusText}`.trim() };
    return { ...(await response.json()), took: performance.now() - begun };
  } catch (error) {
    return { failure: error.message || "no connection" };
  }
}

function remember(answer) {
  answers.total += 1;
  answers.list.push(answer);
  if (answers.list.length > kept) answers.list.shift();
  const key = answer.failure ? "failed" : `${answer.pool ?? "?"} \u00b7 ${answer.server ?? "?"}`;
  const row = answers.counts.get(key) ?? { pool: answer.pool, failed: Boolean(answer.failure), count: 0 };
  row.count += 1;
  answers.counts.set(key, row);
}

function square(answer) {
  const title = answer.failure ?? `${answer.pool}, ${answer.server}, ${answer.took.toFixed(1)} ms`;
  return element("i", { class: answer.failure ? "bad" : colour(answer.pool), title });
}

function answersView() {
  const grid = element("div", { class: "answers", role: "img", "aria-label": "one square for each answer" });
  const body = element("tbody");
  const latest = element("p", { class: "soft" }, "No answer yet.");

  function drawTable() {
    const rows = [...answers.counts].sort(([a], [b]) => a.localeCompare(b)).map(([key, row]) => element("tr", {},
      element("td", {}, element("span", { class: `dot ${row.failed ? "bad" : colour(row.pool)}` }), key),
      element("td", { class: "number" }, String(row.count)),
      element("td", { class: "number" }, `${(row.count / answers.total * 100).toFixed(1)} %`)));
    body.replaceChildren(...rows);
  }

  async function once() {
    if (answers.pending >= atOnce) return;
    answers.pending += 1;
    const answer = await ask();
    answers.pending -= 1;
    remember(answer);
    if (!grid.isConnected) return;
    grid.append(square(answer));
    while (grid.childElementCount > kept) grid.firstChild.remove();
    latest.textContent = answer.failure
      ? `The last request failed: ${answer.failure}`
      : `\u201c${answer.message}\u201d from ${answer.server} in pool ${answer.pool}, ${answer.took.toFixed(1)} ms`;
    drawTable();
  }

  const steady = element("button", { class: "quiet", onclick: toggle }, "");
  function label() {
    steady.textContent = answers.timer ? "Stop" : "Ask five times a second";
  }
  function toggle() {
    if (answers.timer) {
      clearInterval(answers.timer);
      answers.timer = 0;
    } else {
      answers.timer = setInterval(() => answersView.once(), 200);
    }
    label();
  }

  answersView.once = once;
  grid.append(...answers.list.map(square));
  drawTable();
  label();
  if (answers.total === 0) once();
  return [
    element("h1", {}, "Who answers?"),
    element("p", {}, "Each square is one answer of ", element("code", {}, "/api/hello"),
      ", in the colour of the pool it came from. Shift the traffic while it runs and watch."),
    element("div", { class: "card" },
      element("div", { class: "row" }, element("button", { onclick: once }, "Ask once"), steady), grid),
    latest,
    element("div", { class: "card" }, element("table", {}, element("thead", {}, element("tr", {},
      element("th", {}, "pool \u00b7 server"), element("th", { class: "number" }, "answers"),
      element("th", { class: "number" }, "share"))), body)),
  ];
}
answersView.once = () => {};

// --- the clock -------------------------------------------------------------------------------------------------------

function connect() {
  const state = document.getElementById("stream");
  stream.source = new EventSource("/api/events");
  stream.source.onopen = () => {
    state.className = "state live";
    state.textContent = "event stream: live";
  };
  stream.source.onerror = () => {
    stream.breaks += 1;
    state.className = "state lost";
    state.textContent = "event stream: lost, trying again";
    for (const watcher of stream.watchers) watcher();
    // A browser gives up for good after an answer that is no stream; a deploy should not need a reload of the page.
    if (stream.source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
  stream.source.onmessage = (event) => {
    stream.received += 1;
    try {
      stream.last = JSON.parse(event.data);
    } catch {
      stream.last = { time: event.data };
    }
    for (const watcher of stream.watchers) watcher();
  };
}

function clockView() {
  const time = element("div", { class: "clock", role: "timer" }, "--:--:--");
  const notes = element("p", { class: "soft" });
  const draw = () => {
    if (stream.last) time.textContent = stream.last.time ?? "";
    const origin = stream.last?.server ? ` from ${stream.last.server}` : "";
    notes.textContent = `${stream.received} events received${origin}, ${stream.breaks} breaks.`;
  };
  stream.watchers.add(draw);
  draw();
  return [
    element("h1", {}, "The server's clock"),
    element("p", {}, "One event a second over ", element("code", {}, "/api/events"),
      ". The stream lives on when headgate reloads its configuration or moves traffic to another pool."),
    element("div", { class: "card" }, time, notes),
  ];
}

// --- a deep link -----------------------------------------------------------------------------------------------------

function orderView(number) {
  return [
    element("h1", {}, `Order ${number}`),
    element("p", {}, "No file has this path. Reload the page: a navigation is answered with the application, which reads "
      + "the address and shows this view. A script or an image that is missing is answered with 404 instead."),
    element("p", {}, element("a", { href: `/orders/${Number(number) + 1}`, "data-link": "" }, "The next order")),
  ];
}

function unknownView() {
  return [
    element("h1", {}, "Nothing here"),
    element("p", {}, "The application knows no view for this address. ", element("a", { href: "/", "data-link": "" }, "Back to the start")),
  ];
}

// --- navigation ------------------------------------------------------------------------------------------------------

function show() {
  const path = location.pathname.replace(/\/+$/, "") || "/";
  const order = /^\/orders\/(\d{1,15})$/.exec(path);
  stream.watchers.clear();
  let parts;
  if (path === "/") parts = answersView();
  else if (path === "/clock") parts = clockView();
  else if (order) parts = orderView(order[1]);
  else parts = unknownView();
  view.replaceChildren(...parts);
  document.title = `${view.querySelector("h1").textContent} \u2013 headgate sample`;
  document.getElementById("place").textContent = location.href;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.pathname === path || (order && link.pathname.startsWith("/orders/"));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  show();
  view.focus({ preventScroll: true });
  scrollTo(0, 0);
});

addEventListener("popstate", show);
show();
connect();
)spa"},
  {"/assets/style-7Rb4mpee.css", R"spa(/* SPDX-License-Identifier: Apache-2.0 */
:root {
  --ink: #14202b;
  --soft: #5a6a78;
  --line: #d9e0e6;
  --ground: #f6f8fa;
  --card: #ffffff;
  --accent: #0b6bcb;
  --blue: #2f80ed;
  --green: #27a567;
  --other: #8a63d2;
  --bad: #d64545;
}

@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3;
    --soft: #96a5b3;
    --line: #2b3843;
    --ground: #0e151b;
    --card: #151f27;
    --accent: #5aa9ff;
  }
}

* { box-sizing: border-box; }

body {
  margin: 0 auto;
  max-width: 62rem;
  min-height: 100vh;
  padding: 0 1.25rem;
  display: flex;
  flex-direction: column;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif;
  color: var(--ink);
  background: var(--ground);
}

header, footer {
  display: flex;
  flex-wrap: wrap;
  gap: .5rem 1.5rem;
  align-items: center;
  justify-content: space-between;
  padding: 1rem 0;
}

header { border-bottom: 1px solid var(--line); }
footer { border-top: 1px solid var(--line); font-size: .875rem; color: var(--soft); }
main { flex: 1; padding: 1.5rem 0; outline: none; }
a { color: var(--accent); }
nav { display: flex; gap: 1.25rem; }
nav a { color: var(--soft); text-decoration: none; padding: .25rem 0; border-bottom: 2px solid transparent; }
nav a[aria-current] { color: var(--ink); border-color: var(--accent); }
.brand { display: inline-flex; gap: .6rem; align-items: center; font-weight: 650; color: inherit; text-decoration: none; }

h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
p { margin: 0 0 1rem; max-width: 44rem; }
.soft { color: var(--soft); }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }

.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 0 0 1rem; }
.row { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; }

button {
  font: inherit;
  padding: .4rem .9rem;
  color: #fff;
  background: var(--accent);
  border: 0;
  border-radius: .4rem;
  cursor: pointer;
}

@media (prefers-color-scheme: dark) { button { color: #0e151b; } }
button.quiet { color: var(--ink); background: transparent; box-shadow: inset 0 0 0 1px var(--line); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

.answers { display: grid; grid-template-columns: repeat(auto-fill, 14px); gap: 4px; min-height: 68px; margin: 1rem 0 0; }
.answers i { width: 14px; height: 14px; border-radius: 3px; background: var(--other); }
.blue { background: var(--blue) !important; }
.green { background: var(--green) !important; }
.bad { background: var(--bad) !important; }

table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
th { font-weight: 500; color: var(--soft); }
.number { text-align: right; padding-right: 0; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; background: var(--other); }
.clock { font-size: clamp(3rem, 12vw, 6rem); font-weight: 250; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.state::before { content: ""; display: inline-block; width: .6em; height: .6em; margin-right: .5em; border-radius: 50%; background: var(--soft); }
.state.live::before { background: var(--green); }
.state.lost::before { background: var(--bad); }
)spa"},
}};
// clang-format on

}  // namespace headgate::proxy
