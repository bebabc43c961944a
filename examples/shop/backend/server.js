// SPDX-License-Identifier: Apache-2.0
// The shop's API. Carts live in the memory of the process that got them: this is what session affinity is for.
//   PORT=3001 RELEASE=blue node server.js
const express = require("express");

const release = process.env.RELEASE ?? "blue";
const carts = new Map();
const app = express();
app.set("trust proxy", "loopback"); // the edge is on this machine: req.ip and req.protocol are the client's
app.use(express.json());

const session = (request) => /(?:^|;\s*)session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";

// HEALTH=down is a release that starts and cannot work: no database, say.
app.get("/health", (request, response) => {
  const well = process.env.HEALTH !== "down";
  response.status(well ? 200 : 503).json({ status: well ? "ok" : "down", release });
});

app.get("/api/products", (request, response) => {
  const products = Array.from({ length: 60 }, (_, id) => ({ id, name: `Product ${id}`, cents: 990 + 10 * id }));
  response.json({ release, products });
});

app.get("/api/cart", (request, response) => {
  response.json({ release, process: process.pid, items: carts.get(session(request)) ?? [] });
});

app.post("/api/cart", (request, response) => {
  const items = [...(carts.get(session(request)) ?? []), request.body.product];
  carts.set(session(request), items);
  response.status(201).json({ release, process: process.pid, count: items.length });
});

app.get("/api/whoami", (request, response) => {
  response.json({ release, address: request.ip, protocol: request.protocol, host: request.hostname });
});

const server = app.listen(process.env.PORT ?? 3001, "127.0.0.1", () => {
  console.error(`backend ${release} on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0))); // what is under way is answered first
