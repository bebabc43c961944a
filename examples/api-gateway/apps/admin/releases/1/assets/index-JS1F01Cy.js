// SPDX-License-Identifier: Apache-2.0
// The Administration application, as a build leaves it: one module, one style sheet, names with a hash of their content.
const view = document.getElementById("app");

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function home() {
  const { address, app } = await ask("/api/accounts/me");
  return [element("h1", {}, "Administration"), element("p", { id: "me" }, `${app} knows you as ${address}.`)];
}

async function orders() {
  const { orders } = await ask("/api/orders/");
  return [element("h1", {}, "Orders"),
    element("ul", {}, ...orders.map(({ id, item, state }) => element("li", {}, element("a", { href: `/orders/${id}` }, item), ` ${state}`)))];
}

async function order(id) {
  const { state } = await ask(`/api/orders/${encodeURIComponent(id)}`);
  return [element("h1", {}, `Order ${id}`), element("p", { id: "state" }, state)];
}

async function show() {
  const [, first, id] = location.pathname.split("/");
  view.replaceChildren(...await (first !== "orders" ? home() : id ? order(id) : orders()));
  document.title = `Administration: ${view.querySelector("h1").textContent}`;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/']");
  if (!link) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show();
});
addEventListener("popstate", show);
show();
