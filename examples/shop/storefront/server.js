// SPDX-License-Identifier: Apache-2.0
// The storefront: pages rendered by Node, each with a Content-Security-Policy of its own, which nobody on the way may touch.
//   PORT=3100 node server.js
const crypto = require("node:crypto");
const express = require("express");

const app = express();

const policy = (nonce) => [
  "default-src 'self'",
  `script-src 'nonce-${nonce}' 'strict-dynamic' https: 'unsafe-inline'`,
  "img-src * data: blob:",
  "connect-src 'self' https://pay.example.com wss://chat.example.com:8443",
  "frame-ancestors 'none'",
  "report-uri /csp?from=storefront&v=1",
].join("; ");

app.get("/health", (request, response) => response.json({ status: "ok" }));

app.use((request, response) => {
  const nonce = crypto.randomBytes(16).toString("base64");
  response.set("Content-Security-Policy", policy(nonce));
  response.set("Cache-Control", "private, no-cache");
  response.type("html").send(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Shop</title></head>
<body>
  <h1>Shop</h1>
  <p>This is <code>${encodeURI(request.path)}</code>.</p>
  <ul id="products"></ul>
  <script nonce="${nonce}">
    fetch("/api/products").then((answer) => answer.json()).then(({ products }) => {
      for (const product of products) {
        const row = document.createElement("li");
        row.textContent = product.name;
        document.getElementById("products").append(row);
      }
    });
  </script>
</body>
</html>
`);
});

const server = app.listen(process.env.PORT ?? 3100, "127.0.0.1", () => {
  console.error(`storefront on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
