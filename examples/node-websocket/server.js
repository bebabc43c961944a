// SPDX-License-Identifier: Apache-2.0
// A Node service with a WebSocket beside its API, on localhost:3010.
//   PORT=3010 node server.js
const http = require("node:http");
const express = require("express");
const { WebSocketServer } = require("ws");

const app = express();
app.set("trust proxy", "loopback");
app.use(express.json());

const release = process.env.RELEASE ?? "1";

app.get("/health", (request, response) => response.json({ status: "ok", release }));

app.get("/api/session", (request, response) => {
  response.json({ cookie: request.headers.cookie ?? "", address: request.ip, protocol: request.protocol });
});

app.get("/api/messages", (request, response) => {
  response.json(Array.from({ length: 100 }, (_, id) => ({ id, text: `message ${id}` })));
});

const server = http.createServer(app);
const sockets = new WebSocketServer({ server, path: "/ws" });
sockets.on("connection", (socket, request) => {
  socket.send(JSON.stringify({ hello: request.headers["x-forwarded-for"], scheme: request.headers["x-forwarded-proto"], release }));
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});

server.listen(process.env.PORT ?? 3010, "127.0.0.1", () => {
  console.error(`service on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => {
  for (const socket of sockets.clients) socket.close(1001);
  server.close(() => process.exit(0));
});
