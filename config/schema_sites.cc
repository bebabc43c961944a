// SPDX-License-Identifier: Apache-2.0
// The tables of sites and routes.
#include "config/schema.h"

namespace headgate::config::schema {
namespace {

constexpr Key kSiteKeys[] = {
    {"hosts", "list of host names", "[]", "Exact names before `*.example.com`. Empty: the default site."},
    {"listeners", "list of addresses", "[]", "Those of `listeners` that this site answers on. Empty: all."},
    {"https", "redirect | off", "off", "redirect: 308 from plain to TLS."},
    {"response_headers", "mapping", "",
     "On every answer of the site, the edge's own included; then those of the route."},
    {"security_headers", "off | strict", "off",
     "HSTS, nosniff, frame and referrer rules; response_headers override them."},
    {"cors", "mapping", "", "Cross-origin rules of all its routes but those with rules of their own."},
    {"compress", "off | on | mapping", "off", "Compress answers on their way. on: with the defaults of its keys."},
    {"error_pages", "mapping of statuses to paths", "{}",
     "A path of this site for a status (404) or a class of them (4xx, 5xx): of its routes, from files or a respond."},
    {"error_pages_intercept", "boolean", "false", "error_pages also stand for errors that an upstream answers with."},
    {"maintenance", "mapping", "", "What holds while `headgate maintenance on` has closed the site."},
    {"access", "mapping or off", "", "Who may, by address. A route's own stands in place of it."},
    {"basic_auth", "mapping or off", "", "Who may, by password. A route's own stands in place of it."},
    {"forward_auth", "mapping or off", "", "Who may, as a service says. A route's own stands in place of it."},
    {"routes", "list of mappings", "[]", "What is done with which path."},
};
constexpr Key kHeaderChangesKeys[] = {
    {"set", "mapping", "{}", "Replaces all fields of that name. Values are templates."},
    {"add", "mapping", "{}", "One more field."},
    {"remove", "list of header names", "[]", "Done first."},
};
constexpr Key kCompressKeys[] = {
    {"encodings", "list of zstd, br, gzip", "[zstd, br, gzip]", "In the order of preference."},
    {"min_size", "size", "1KiB", "Smaller answers stay as they are."},
    {"types", "list of media types", "[text/*, application/json, application/javascript, image/svg+xml]",
     "What is worth it. `*/*`: everything that has a type."},
    {"level", "mapping", "", "How hard to try."},
};
constexpr Key kCompressLevelKeys[] = {
    {"zstd", "1 to 6", "3", ""},
    {"br", "1 to 4", "3", ""},
    {"gzip", "1 to 6", "5", ""},
};
constexpr Key kRouteKeys[] = {
    {"path", "path or list of paths", "",
     "/healthz: this path. /api/*: all that begins so. Paths are compared decoded and normalised."},
    {"path_regex", "regular expression", "", "In place of path; its groups are $1 to $9."},
    {"methods", "list of methods", "[]", "A further condition."},
    {"headers", "mapping", "{}", "Fields and the values that they must have."},
    {"query", "mapping", "{}", "Parameters and the values that they must have."},
    {"client", "list of CIDRs", "[]", "Where the client must be."},
    {"strip_prefix", "path", "\"\"", "Cut off before the action."},
    {"rewrite", "mapping", "", "A new path. Without an action it is matched again, 10 times at most."},
    {"proxy", "upstream or URL", "",
     "Action: forward. http://, https://, h2c://, h2:// or unix:/path make an upstream of their own."},
    {"static", "mapping", "", "Action: files."},
    {"redirect", "mapping", "", "Action: send elsewhere."},
    {"respond", "mapping", "", "Action: answer."},
    {"rate_limit", "list of rate limits", "[]", "All of them must allow the request."},
    {"max_body", "size", "", "In place of limits.max_body."},
    {"timeouts", "mapping", "", "In place of the upstream's."},
    {"request_headers", "mapping", "", "What the upstream gets. X-Forwarded-For, -Proto and -Host are set anyway."},
    {"response_headers", "mapping", "", "After those of the site."},
    {"compress", "off | on | mapping", "", "In place of the site's, the whole of it."},
    {"cors", "off | mapping", "", "Cross-origin rules, preflights included, in place of the site's."},
    {"access", "mapping or off", "", "Who may, by address. In place of the site's; `{}` or off: everybody."},
    {"basic_auth", "mapping or off", "", "Who may, by password. In place of the site's; off: without."},
    {"forward_auth", "mapping or off", "", "Who may, as a service says. In place of the site's; off: without."},
    {"buffering", "off | request", "off",
     "off: both bodies stream. request: the whole body is taken before the upstream is asked; not for calls that "
     "stream both ways."},
    {"mirror", "mapping", "", "Shadow traffic: some requests go to another upstream, too; its answer is dropped."},
};
constexpr Key kRewriteKeys[] = {
    {"regex", "regular expression", "", "What the path must match. Required."},
    {"to", "template", "", "The new path; $1 to $9 are the groups. Required."},
};
constexpr Key kRedirectKeys[] = {
    {"to", "template", "", "The Location. Required."},
    {"status", "301 | 302 | 303 | 307 | 308", "308", "308 keeps the method, for good."},
};
constexpr Key kRespondKeys[] = {
    {"status", "200 to 599", "200", "The status."},
    {"body", "template", "\"\"", "The content."},
    {"headers", "mapping", "{}", "Fields of the answer, such as Content-Type. Values are templates."},
};
constexpr Key kStaticKeys[] = {
    {"root", "path", "", "The folder. Required, unless there are pools."},
    {"index", "list of file names", "[index.html]", "What stands for a folder."},
    {"autoindex", "boolean", "false", "List folders without an index."},
    {"try_files", "list of templates", "[]", "The first that exists is served."},
    {"spa", "boolean", "false",
     "[$uri, /index.html], but a missing file with an asset's extension is 404 and not stored; the fallback is for "
     "navigations and no-cache; files with a hash in their name are immutable."},
    {"also", "list of paths", "[]", "Roots of earlier builds, where a missing asset is looked for."},
    {"precompressed", "list of br, gzip", "[br, gzip]", "app.js.br and app.js.gz beside app.js."},
    {"cache_control", "mapping of patterns", "{}", "Cache-Control by the path of the file that is served."},
    {"hidden_files", "deny | allow", "deny", "Names that begin with a dot."},
    {"follow_symlinks", "within_root | always | never", "within_root", "Where links may lead."},
    {"pools", "mapping of names to paths", "",
     "In place of root: several builds, by name. A missing asset is looked for in the other pools."},
    {"name", "name", "", "What commands call the pools. Default: the site's first host."},
    {"split", "mapping of pools to weights", "", "As those of upstreams, like the keys that follow."},
    {"split_by", "request | client", "request",
     "request: each one is drawn anew. client: a client keeps its pool while a weight grows."},
    {"split_key", "template", "\"\"", "What a client is known by. Empty: a cookie of our own."},
    {"split_cookie", "cookie name", "headgate_client", "The name of that cookie."},
    {"at_zero_weight", "release | keep", "release", "Whether clients leave a pool at once when its weight becomes 0."},
    {"split_override", "mapping", "", "Testers choose a pool by name."},
};
constexpr Key kRouteTimeoutsKeys[] = {
    {"connect", "duration", "", "Until the connection stands."},
    {"first_byte", "duration", "", "From the request's end to the response's first byte."},
    {"idle", "duration", "", "Between two reads or writes."},
};
constexpr Key kCorsKeys[] = {
    {"origins", "list of origins", "",
     "Who may: https://shop.example.com, https://*.example.com (every name below it), or \"*\" for everyone. "
     "Required."},
    {"methods", "list of methods", "[]", "Allowed beside GET, HEAD and POST; \"*\": all."},
    {"headers", "list of header names", "[]", "Allowed request fields; \"*\": all."},
    {"expose_headers", "list of header names", "[]", "Fields of the answer that scripts may read."},
    {"credentials", "boolean", "false", "Cookies and passwords may be sent. Not with the origin \"*\"."},
    {"max_age", "duration", "0s", "How long a preflight is remembered; 0s: as long as the browser likes."},
};
constexpr Key kMaintenanceKeys[] = {
    {"allow", "list of CIDRs", "[]", "Clients who pass; --allow adds to them."},
    {"except", "list of paths", "[]",
     "Paths that are served as always: /healthz, or /status/* for all that begins so."},
    {"retry_after", "duration", "10m", "Told in Retry-After; 0s: nothing is. --retry-after goes first."},
    {"message", "text", "\"\"", "A line of the short answer. --message goes first."},
};
constexpr Key kAccessKeys[] = {
    {"allow", "list of CIDRs", "[]", "Not empty: nobody else."},
    {"deny", "list of CIDRs", "[]", "These not. Of two networks that hold an address the smaller one decides."},
};
constexpr Key kBasicAuthKeys[] = {
    {"realm", "text", "\"\"", "What the password is for; some browsers show it."},
    {"users_file", "path", "\"\"",
     "htpasswd with bcrypt, apr1, SHA-crypt or {SHA}. Read again when it has changed. Required, unless it is off."},
};
constexpr Key kForwardAuthKeys[] = {
    {"url", "URL", "", "Who is asked: http://auth:9000/verify. This or `upstream`."},
    {"upstream", "upstream", "", "Likewise, one of `upstreams` with one pool."},
    {"path", "path", "/", "What `upstream` is asked for."},
    {"timeout", "duration", "5s", "For all of it. 502 then."},
    {"copy_headers", "list of header names", "[]",
     "Fields of a good answer that the request gets; the client's own of these names are always dropped."},
    {"request_headers", "list of header names", "",
     "Those of the client's that the service gets. Without it all but those of the body, of the hop, and conditions."},
};
constexpr Key kMirrorKeys[] = {
    {"upstream", "upstream", "\"\"", "Who gets the copy."},
    {"percent", "0 to 100", "0", "Of the requests. 0: none."},
};

}  // namespace

const Schema kSite{"sites.*", "sites", "Each element of the list:", kSiteKeys};
const Schema kHeaderChanges{"sites.*.response_headers", "response_headers, request_headers", "Of a site or a route.",
                            kHeaderChangesKeys};
const Schema kCompress{"sites.*.compress", "compress", "Of a site or a route. `compress: {}` is on, too.",
                       kCompressKeys};
const Schema kCompressLevel{"sites.*.compress.level", "compress.level",
                            "Higher ones would hold the others up for longer than two milliseconds at a time.",
                            kCompressLevelKeys};
const Schema kRoute{"sites.*.routes.*", "sites.routes",
                    "An exact path goes first, then path_regex in the file's order, then the longest prefix. A route "
                    "has one action, or a rewrite alone.",
                    kRouteKeys};
const Schema kRewrite{"sites.*.routes.*.rewrite", "sites.routes.rewrite", "", kRewriteKeys};
const Schema kRedirect{"sites.*.routes.*.redirect", "sites.routes.redirect", "", kRedirectKeys};
const Schema kRespond{"sites.*.routes.*.respond", "sites.routes.respond", "", kRespondKeys};
const Schema kStatic{"sites.*.routes.*.static", "sites.routes.static", "", kStaticKeys};
const Schema kRouteTimeouts{"sites.*.routes.*.timeouts", "sites.routes.timeouts", "Without one the upstream's holds.",
                            kRouteTimeoutsKeys};
const Schema kCors{"sites.*.routes.*.cors", "sites.routes.cors", "Of a route, or of a site for all its routes.",
                   kCorsKeys};
const Schema kMaintenance{"sites.*.maintenance", "sites.maintenance", "", kMaintenanceKeys};
const Schema kAccess{"sites.*.routes.*.access", "sites.routes.access", "", kAccessKeys};
const Schema kBasicAuth{"sites.*.routes.*.basic_auth", "sites.routes.basic_auth", "", kBasicAuthKeys};
const Schema kForwardAuth{"sites.*.routes.*.forward_auth", "sites.routes.forward_auth",
                          "A GET with X-Forwarded-Method, -Proto, -Host, -Uri and -For. 2xx: the request goes on.",
                          kForwardAuthKeys};
const Schema kMirror{"sites.*.routes.*.mirror", "sites.routes.mirror", "", kMirrorKeys};

}  // namespace headgate::config::schema
