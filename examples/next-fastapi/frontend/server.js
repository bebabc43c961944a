// SPDX-License-Identifier: Apache-2.0
// Stands in for `node .next/standalone/server.js`, without the build: pages rendered on the server and streamed, assets
// below /_next/static with a hash in their names, and the caching that Next.js gives both.
//   PORT=3000 HOSTNAME=127.0.0.1 node server.js
const http = require("node:http");

const chunk = "console.log('hydrated', document.getElementById('page').textContent);\n".repeat(40);
const asset = "/_next/static/chunks/main-4f9c02d17ab3e856.js";

function page(path, response) {
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", "X-Powered-By": "Next.js",
    "Cache-Control": "private, no-cache, no-store, max-age=0, must-revalidate", Vary: "RSC, Next-Router-State-Tree, Next-Router-Prefetch" });
  // The shell goes out at once, what takes longer when it is there.
  response.write(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Notes</title></head><body><main id="page">${encodeURI(path)}</main>`);
  setImmediate(() => response.end(`<p>Loaded later.</p><script src="${asset}" async></script></body></html>`));
}

const server = http.createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (path === asset) {
    response.writeHead(200, { "Content-Type": "application/javascript; charset=UTF-8", "Cache-Control": "public, max-age=31536000, immutable" });
    response.end(chunk);
  } else if (path.startsWith("/_next/")) {
    response.writeHead(404, { "Content-Type": "text/plain" });
    response.end("Not Found");
  } else {
    page(path, response);
  }
});

server.listen(process.env.PORT ?? 3000, process.env.HOSTNAME ?? "127.0.0.1", () => {
  console.error(`frontend on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
