// SPDX-License-Identifier: Apache-2.0
// Listeners, certificates and limits.
#include "config/sections.h"

namespace headgate::config {
namespace {

Listener read_listener(Reader& reader, const Node& node, const std::string& path) {
  Listener listener;
  listener.position = reader.position(node);
  Section section(reader, node, schema::kListener, path);
  if (const Node* address = section.require("address")) {
    reader.parse(*address, section.path("address"), kListenText, parse_listen_address, listener.address);
  }
  section.boolean("tls", listener.tls);
  listener.http2 = listener.tls;
  section.boolean("http2", listener.http2);
  section.boolean("h2c", listener.h2c);
  section.boolean("proxy_protocol", listener.proxy_protocol);
  if (listener.http2 && !listener.tls) {
    reader.error(*node.find("http2"),
                 section.path("http2") + ": expected tls: true beside http2: true; h2c is HTTP/2 in clear");
  }
  if (listener.h2c && listener.tls) {
    reader.error(*node.find("h2c"), section.path("h2c") + ": expected false on a listener with tls: true, got 'true'");
  }
  section.finish();
  return listener;
}

void read_certificates(Section& tls, std::vector<Certificate>& out) {
  const Node* node = tls.find("certificates");
  if (node == nullptr) return;
  Reader& reader = tls.reader();
  std::size_t index = 0;
  for (const Node* item : reader.elements(*node, tls.path("certificates"), "a list of mappings with cert and key")) {
    Section section(reader, *item, schema::kCertificate, element(tls.path("certificates"), index++));
    Certificate certificate;
    certificate.position = reader.position(*item);
    section.required_text("cert", certificate.cert, TextRule::kFile);
    section.required_text("key", certificate.key, TextRule::kFile);
    section.finish();
    out.push_back(std::move(certificate));
  }
}

}  // namespace

void read_listeners(Section& top) {
  Reader& reader = top.reader();
  auto& listeners = reader.config().listeners;
  if (const Node* node = top.find("listeners")) {
    std::size_t index = 0;
    for (const Node* item : reader.elements(*node, "listeners", "a list of mappings")) {
      listeners.push_back(read_listener(reader, *item, element("listeners", index++)));
    }
  }
  if (!listeners.empty()) return;
  Listener plain;
  plain.address = *parse_listen_address(":8080");
  plain.http2 = false;
  listeners.push_back(std::move(plain));
}

void read_tls(Section& top) {
  const Node* node = top.find("tls");
  if (node == nullptr) return;
  Reader& reader = top.reader();
  Tls& tls = reader.config().tls;
  tls.position = reader.position(*node);
  Section section(reader, *node, schema::kTls, "tls");
  read_certificates(section, tls.certificates);
  section.choice<Tls::Version>("min_version", tls.min_version,
                               {{"1.2", Tls::Version::k12}, {"1.3", Tls::Version::k13}});
  section.text("ciphers", tls.ciphers);
  if (tls.ciphers.empty()) reader.mismatch(*node->find("ciphers"), "tls.ciphers", "modern, intermediate or a list");
  section.choice<bool>("reload", tls.watch, {{"watch", true}, {"off", false}});
  section.boolean("ocsp_stapling", tls.ocsp_stapling);
  section.boolean("session_tickets", tls.session_tickets);
  section.text("client_ca", tls.client_ca, TextRule::kFile);
  section.choice<VerifyClient>(
      "verify_client", tls.verify_client,
      {{"off", VerifyClient::kOff}, {"optional", VerifyClient::kOptional}, {"required", VerifyClient::kRequired}});
  if (tls.verify_client != VerifyClient::kOff && tls.client_ca.empty()) {
    reader.error(*node->find("verify_client"), "tls.verify_client: expected client_ca beside it");
  }
  section.boolean("strict_sni", tls.strict_sni);
  section.finish();
}

void read_limits(Section& top) {
  const Node* node = top.find("limits");
  if (node == nullptr) return;
  Limits& limits = top.reader().config().limits;
  Section section(top.reader(), *node, schema::kLimits, "limits");
  // The waits that protect cannot be switched off, and a head must have room for a request line.
  section.duration("header_timeout", limits.header_timeout, 1ms);
  section.duration("body_idle_timeout", limits.body_idle_timeout, 1ms);
  section.duration("keepalive_timeout", limits.keepalive_timeout, 1ms);
  section.integer("keepalive_requests", limits.keepalive_requests);
  section.size("max_header_bytes", limits.max_header_bytes, kKiB);
  if (limits.max_header_bytes > 16 * kMiB) {
    top.reader().error(*node->find("max_header_bytes"), "limits.max_header_bytes: expected at most 16MiB, got '" +
                                                            size_text(limits.max_header_bytes) + "'");
  }
  section.integer("max_headers", limits.max_headers, 1, 10'000);
  section.size("max_body", limits.max_body);
  section.size("body_memory", limits.body_memory);
  if (limits.body_memory > kMiB) {
    top.reader().error(*node->find("body_memory"),
                       "limits.body_memory: expected at most 1MiB, got '" + size_text(limits.body_memory) + "'");
  }
  section.size("body_buffers", limits.body_buffers, kMiB);
  section.integer("max_connections", limits.max_connections);
  section.integer("max_connections_per_ip", limits.max_connections_per_ip);
  section.finish();
}

}  // namespace headgate::config
