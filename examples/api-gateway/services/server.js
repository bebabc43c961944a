// SPDX-License-Identifier: Apache-2.0
// One of the services behind the gateway, by its NAME.
//   NAME=accounts PORT=4001 node server.js
//   NAME=orders PORT=4002 node server.js
const express = require("express");

const name = process.env.NAME ?? "accounts";
const app = express();
app.set("trust proxy", "loopback");
app.use(express.json());

app.get("/health", (request, response) => response.json({ status: "ok", service: name }));

if (name === "accounts") {
  app.post("/login", (request, response) => response.status(401).json({ error: "wrong password", user: request.body.user }));
  app.get("/me", (request, response) => response.json({ service: name, address: request.ip, protocol: request.protocol, app: request.hostname }));
} else {
  app.get("/", (request, response) => {
    const orders = Array.from({ length: 80 }, (_, id) => ({ id, state: id % 3 ? "sent" : "open", item: `Item ${id}` }));
    response.json({ service: name, orders });
  });
  app.get("/:id", (request, response) => response.json({ service: name, id: request.params.id, state: "sent" }));
}

const server = app.listen(process.env.PORT ?? 4001, "127.0.0.1", () => {
  console.error(`${name} on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
