// SPDX-License-Identifier: Apache-2.0
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
