// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/path.h"
#include "proxy/handlers/static_files.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

using testing::HasSubstr;
using testing::Not;
using Kind = StaticPlan::Kind;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
constexpr std::string_view kImmutable = "public, max-age=31536000, immutable";

/// $uri and one query parameter are enough for the templates of these tests.
struct Values final : routing::Variables {
  void append(const routing::Variable& variable, std::string& out) const override {
    if (variable.kind == routing::Variable::Kind::kUri) out += path;
    if (variable.kind == routing::Variable::Kind::kArg) out += argument;
  }
  std::string path;
  std::string argument;
};

class StaticPlanTest : public testing::Test {
 protected:
  StaticPlanTest() { settings.root = tree.path("root"); }

  /// Asks for a path as a client sends it; `strip` is taken off the normalised one.
  StaticPlan ask(std::string sent, const Pairs& headers = {}, http::Method method = http::Method::kGet,
                 std::string_view query = {}) {
    sent_ = std::move(sent);
    EXPECT_TRUE(http::normalise_path(sent_, normalised_));
    std::string_view path = normalised_;
    path.remove_prefix(strip.size());
    if (!rewritten.empty()) path = rewritten;
    http::Fields fields;
    for (const auto& [name, value] : headers) fields.add(name, value);
    values.path = path;
    const StaticQuestion question{method, path, sent_, query, fields, values, now};
    files_.push_back(std::make_unique<StaticFiles>(settings));
    return files_.back()->plan(question, cache);
  }
  static std::string content(const StaticPlan& plan) {
    return plan.kind == Kind::kFile ? plan.representation->body : "<" + std::to_string(plan.status) + ">";
  }
  std::string get(const std::string& path, const Pairs& headers = {}) { return content(ask(path, headers)); }
  std::string navigate(const std::string& path) { return get(path, {{"Accept", std::string(kBrowser)}}); }

  FileTree tree;
  config::Static settings;
  std::string strip;
  std::string rewritten;
  Values values;
  FileCache cache;
  TimePoint now = Clock::now();

 private:
  std::string sent_;
  std::string normalised_;
  std::vector<std::unique_ptr<StaticFiles>> files_;  // plans have views into them
};

// --- files, indexes, directories ----------------------------------------------------------------------------------

TEST_F(StaticPlanTest, FilesAndIndexes) {
  tree.write("root/index.html", "home");
  tree.write("root/a b.txt", "spaced");
  tree.write("root/docs/index.html", "docs");
  tree.write("root/docs/empty/x", "x");
  EXPECT_EQ(get("/"), "home");
  EXPECT_EQ(get("/index.html"), "home");
  EXPECT_EQ(get("/a%20b.txt"), "spaced");
  EXPECT_EQ(get("/docs/"), "docs");
  EXPECT_EQ(get("/docs/empty/"), "<404>");
  EXPECT_EQ(get("/none"), "<404>");
  EXPECT_EQ(get("/index.html/"), "<404>");
  EXPECT_EQ(get("/index.html/x"), "<404>");
  EXPECT_STREQ(ask("/none").reason, "not_found");
  EXPECT_EQ(ask("/").reason, nullptr);
}

TEST_F(StaticPlanTest, IndexNamesInOrder) {
  settings.index = {"main.htm", "index.html"};
  tree.write("root/a/index.html", "second");
  tree.write("root/b/index.html", "second");
  tree.write("root/b/main.htm", "first");
  EXPECT_EQ(get("/a/"), "second");
  EXPECT_EQ(get("/b/"), "first");
}

TEST_F(StaticPlanTest, DirectoriesWithoutSlashAreRedirected) {
  tree.write("root/docs/index.html", "docs");
  tree.write("root/d \"<ü/index.html", "docs");
  auto plan = ask("/docs", {}, http::Method::kGet, "a=1&b=%20");
  EXPECT_EQ(plan.kind, Kind::kRedirect);
  EXPECT_EQ(plan.status, 301);
  EXPECT_EQ(plan.text, "/docs/?a=1&b=%20");
  EXPECT_EQ(ask("/d%20%22%3c%c3%bc").text, "/d%20%22%3C%C3%BC/");
}

TEST_F(StaticPlanTest, ARedirectNeverLeavesTheHost) {
  tree.write("root/evil.example/index.html", "x");
  EXPECT_EQ(ask("//evil.example").text, "/evil.example/");
  EXPECT_EQ(ask("/%2fevil.example").text, "/evil.example/");
  EXPECT_EQ(ask("/\\evil.example").text, "/evil.example/");
}

TEST_F(StaticPlanTest, ARedirectKeepsTheStrippedPrefix) {
  tree.write("root/index.html", "home");
  tree.write("root/docs/index.html", "docs");
  strip = "/static";
  EXPECT_EQ(ask("/static/docs").text, "/static/docs/");
  EXPECT_EQ(ask("/static").text, "/static/");
  EXPECT_EQ(get("/static/"), "home");
  EXPECT_EQ(get("/static/docs/"), "docs");
}

TEST_F(StaticPlanTest, ARewrittenDirectoryDoesNotRedirectInCircles) {
  tree.write("root/target/index.html", "target");
  rewritten = "/target";
  EXPECT_EQ(ask("/alias").text, "/alias/");
  EXPECT_EQ(get("/alias/"), "target");
}

TEST_F(StaticPlanTest, Methods) {
  tree.write("root/index.html", "home");
  EXPECT_EQ(ask("/", {}, http::Method::kHead).status, 200);
  EXPECT_EQ(ask("/", {}, http::Method::kOptions).kind, Kind::kOptions);
  for (const auto method : {http::Method::kPost, http::Method::kPut, http::Method::kDelete, http::Method::kPatch,
                            http::Method::kTrace, http::Method::kConnect, http::Method::kOther}) {
    EXPECT_EQ(ask("/", {}, method).status, 405);
  }
}

// --- what is not served -------------------------------------------------------------------------------------------

TEST_F(StaticPlanTest, HiddenFiles) {
  tree.write("root/.env", "secret");
  tree.write("root/.git/config", "secret");
  tree.write("root/a/.htpasswd", "secret");
  tree.write("root/.well-known/acme/token", "token");
  tree.write("root/.well-known/.hidden", "secret");
  tree.write("root/.well-knownx", "secret");
  for (const auto* path :
       {"/.env", "/.git/config", "/a/.htpasswd", "/.well-known/.hidden", "/.well-knownx", "/%2eenv"}) {
    EXPECT_EQ(get(path), "<404>") << path;
    EXPECT_STREQ(ask(path).reason, "hidden_file") << path;
  }
  EXPECT_EQ(get("/.well-known/acme/token"), "token");
  settings.hidden_files = config::Static::HiddenFiles::kAllow;
  EXPECT_EQ(get("/.env"), "secret");
}

TEST_F(StaticPlanTest, HiddenFilesHaveNoSpaFallback) {
  settings.spa = true;
  tree.write("root/index.html", "home");
  EXPECT_EQ(navigate("/.env"), "<404>");
}

TEST_F(StaticPlanTest, LinksOutOfTheRoot) {
  tree.write("outside.txt", "secret");
  tree.write("root/inside.txt", "fine");
  tree.link("../outside.txt", "root/out.txt");
  tree.link("inside.txt", "root/in.txt");
  EXPECT_EQ(get("/in.txt"), "fine");
  EXPECT_EQ(ask("/out.txt").status, 403);
  EXPECT_STREQ(ask("/out.txt").reason, "symlink_denied");
  settings.follow_symlinks = SymlinkPolicy::kNever;
  EXPECT_EQ(ask("/in.txt").status, 403);
  settings.follow_symlinks = SymlinkPolicy::kAlways;
  EXPECT_EQ(get("/out.txt"), "secret");
}

TEST_F(StaticPlanTest, UnreadableIsForbidden) {
  settings.spa = true;
  tree.write("root/index.html", "home");
  tree.write("root/closed.txt", "x");
  ASSERT_EQ(::chmod(tree.path("root/closed.txt").c_str(), 0), 0);
  const Unprivileged somebody;
  EXPECT_EQ(ask("/closed.txt").status, 403);
  EXPECT_STREQ(ask("/closed.txt").reason, "forbidden");
}

// --- try_files ----------------------------------------------------------------------------------------------------

TEST_F(StaticPlanTest, TryFilesInOrder) {
  settings.try_files = {"$uri", "$uri.html", "$uri/index.html", "/index.html"};
  tree.write("root/index.html", "home");
  tree.write("root/about.html", "about");
  tree.write("root/docs/index.html", "docs");
  tree.write("root/app.js", "script");
  EXPECT_EQ(get("/app.js"), "script");
  EXPECT_EQ(get("/about"), "about");
  EXPECT_EQ(get("/docs"), "docs");
  EXPECT_EQ(get("/docs/"), "docs");
  EXPECT_EQ(get("/"), "home");
  EXPECT_EQ(get("/deep/link"), "home");
  EXPECT_EQ(get("/none.js"), "home") << "without spa the list is all there is";
}

TEST_F(StaticPlanTest, TryFilesStatus) {
  settings.try_files = {"$uri", "=404"};
  tree.write("root/a.txt", "a");
  EXPECT_EQ(get("/a.txt"), "a");
  EXPECT_EQ(ask("/b.txt").status, 404);
  settings.try_files = {"$uri", "=410"};
  EXPECT_EQ(ask("/b.txt").status, 410);
}

TEST_F(StaticPlanTest, TryFilesDirectory) {
  settings.try_files = {"$uri", "$uri/", "/fallback.html"};
  tree.write("root/fallback.html", "fallback");
  tree.write("root/docs/index.html", "docs");
  tree.write("root/assets/x.js", "x");
  EXPECT_EQ(ask("/docs").text, "/docs/");
  EXPECT_EQ(get("/docs/"), "docs");
  EXPECT_EQ(get("/assets"), "fallback") << "a directory with nothing to show";
  EXPECT_EQ(get("/assets/"), "fallback");
}

TEST_F(StaticPlanTest, TryFilesTemplate) {
  settings.try_files = {"/by-arg/$arg_file", "=404"};
  tree.write("outside.txt", "secret");
  tree.write("root/by-arg/a.txt", "a");
  tree.write("root/by-arg/.env", "secret");
  values.argument = "a.txt";
  EXPECT_EQ(get("/x"), "a");
  for (const auto* bad : {"../../outside.txt", "..", "", ".env", "../by-arg/.env", "/../../outside.txt"}) {
    values.argument = bad;
    EXPECT_EQ(get("/x"), "<404>") << bad;
  }
  settings.follow_symlinks = SymlinkPolicy::kAlways;
  settings.hidden_files = config::Static::HiddenFiles::kAllow;
  values.argument = "../../outside.txt";
  EXPECT_EQ(get("/x"), "<404>");
}

TEST_F(StaticPlanTest, TryFilesMistakes) {
  for (const auto* bad : {"=", "=abc", "=200", "=4040", "$nonsense"}) {
    settings.try_files = {bad};
    EXPECT_THROW(StaticFiles{settings}, std::invalid_argument) << bad;
  }
  settings.try_files = {};
  settings.precompressed = {"lzma"};
  EXPECT_THROW(StaticFiles{settings}, std::invalid_argument);
}

// --- spa ----------------------------------------------------------------------------------------------------------

class SpaPlanTest : public StaticPlanTest {
 protected:
  SpaPlanTest() {
    settings.spa = true;
    tree.write("root/index.html", "home");
    tree.write("root/assets/app-BqXy12Zd.js", "script");
    tree.write("root/favicon.ico", "icon");
    tree.write("root/sw.js", "worker");
  }
};

TEST_F(SpaPlanTest, NavigationsFallBack) {
  for (const auto* path :
       {"/", "/orders/12", "/deep/link/", "/users/john.doe", "/docs/v1.2", "/assets", "/about.html"}) {
    EXPECT_EQ(navigate(path), "home") << path;
  }
  EXPECT_EQ(get("/orders/12"), "home") << "without Accept";
  EXPECT_EQ(get("/orders/12", {{"Accept", "*/*"}}), "home") << "curl";
  EXPECT_EQ(get("/orders/12", {{"Sec-Fetch-Mode", "navigate"}, {"Accept", "application/json"}}), "home");
  EXPECT_EQ(content(ask("/orders/12", {}, http::Method::kHead)), "home");
}

TEST_F(SpaPlanTest, OthersDoNot) {
  EXPECT_EQ(get("/orders/12", {{"Accept", "application/json"}}), "<404>");
  EXPECT_EQ(get("/orders/12", {{"Sec-Fetch-Mode", "cors"}, {"Accept", "*/*"}}), "<404>");
  EXPECT_EQ(get("/orders/12", {{"Sec-Fetch-Mode", "no-cors"}, {"Accept", std::string(kBrowser)}}), "<404>");
  EXPECT_EQ(ask("/orders/12", {}, http::Method::kPost).status, 405);
}

TEST_F(SpaPlanTest, MissingAssetsAreMissing) {
  for (const auto* path :
       {"/assets/app-OLDhash1.js", "/assets/x.css", "/logo.png", "/robots.txt", "/a/b.map", "/X.JS"}) {
    EXPECT_EQ(navigate(path), "<404>") << path;
    EXPECT_EQ(get(path, {{"Sec-Fetch-Mode", "navigate"}}), "<404>") << path;
  }
}

TEST_F(SpaPlanTest, CacheControl) {
  EXPECT_EQ(ask("/").cache_control, "no-cache");
  EXPECT_EQ(ask("/orders/12").cache_control, "no-cache");
  EXPECT_EQ(ask("/index.html").cache_control, "no-cache");
  EXPECT_EQ(ask("/sw.js").cache_control, "no-cache");
  EXPECT_EQ(ask("/assets/app-BqXy12Zd.js").cache_control, kImmutable);
  EXPECT_EQ(ask("/favicon.ico").cache_control, "");
  settings.cache_control = {{"/index.html", "max-age=5"}};
  EXPECT_EQ(ask("/orders/12").cache_control, "max-age=5") << "of the file that is served";
}

TEST_F(SpaPlanTest, ADirectoryIsNoFile) {
  tree.write("root/docs/index.html", "docs");
  EXPECT_EQ(navigate("/docs"), "home");
  EXPECT_EQ(navigate("/docs/"), "home");
  EXPECT_EQ(navigate("/docs/index.html"), "docs");
}

TEST_F(SpaPlanTest, WithoutAnIndexNothing) {
  tree.remove("root/index.html");
  EXPECT_EQ(navigate("/orders/12"), "<404>");
}

TEST_F(SpaPlanTest, EarlierBuilds) {
  tree.write("old/assets/app-OLDhash1.js", "old script");
  tree.write("older/assets/app-OLDhash1.js", "older script");
  tree.write("older/assets/app-OLDhash0.js", "oldest script");
  tree.write("old/index.html", "old home");
  tree.write("old/removed/page.html", "old page");
  tree.write("old/service-worker.js", "old worker");
  tree.write("old/noextension", "x");
  settings.also = {tree.path("old"), tree.path("older")};
  EXPECT_EQ(navigate("/assets/app-OLDhash1.js"), "old script");
  EXPECT_EQ(ask("/assets/app-OLDhash1.js").cache_control, kImmutable);
  EXPECT_EQ(navigate("/assets/app-OLDhash0.js"), "oldest script");
  EXPECT_EQ(navigate("/assets/app-BqXy12Zd.js"), "script");
  EXPECT_EQ(navigate("/"), "home");
  EXPECT_EQ(navigate("/removed/page.html"), "home");
  EXPECT_EQ(navigate("/service-worker.js"), "<404>");
  EXPECT_EQ(navigate("/noextension"), "home");
  tree.remove("root/index.html");
  now += std::chrono::seconds(1);
  EXPECT_EQ(navigate("/index.html"), "<404>") << "never an earlier index.html";
}

TEST_F(StaticPlanTest, EarlierBuildsComeBeforeTheFallbackOfTryFiles) {
  settings.try_files = {"$uri", "/index.html"};
  settings.also = {tree.path("old")};
  tree.write("root/index.html", "home");
  tree.write("old/assets/x.js", "old script");
  EXPECT_EQ(get("/assets/x.js"), "old script");
  EXPECT_EQ(get("/assets/y.js"), "home");
  settings.try_files = {};
  EXPECT_EQ(get("/assets/x.js"), "old script");
}

// --- representation, conditions, ranges ---------------------------------------------------------------------------

TEST_F(StaticPlanTest, Precompressed) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.br", "brotli");
  tree.write("root/app.js.gz", "gzip");
  tree.write("root/alone.js", "alone");
  const auto plan = ask("/app.js", {{"Accept-Encoding", "gzip, br"}});
  EXPECT_EQ(content(plan), "brotli");
  EXPECT_TRUE(plan.varies);
  EXPECT_EQ(plan.file->content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "gzip"}}), "gzip");
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "br;q=0.1, gzip"}}), "gzip");
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "br;q=0, gzip;q=0"}}), "plain");
  EXPECT_TRUE(ask("/app.js").varies);
  EXPECT_EQ(get("/app.js"), "plain");
  EXPECT_FALSE(ask("/alone.js", {{"Accept-Encoding", "br"}}).varies);
  settings.precompressed = {"gzip", "br"};
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "gzip, br"}}), "gzip");
  settings.precompressed = {};
  EXPECT_EQ(get("/app.js", {{"Accept-Encoding", "gzip, br"}}), "plain");
  EXPECT_FALSE(ask("/app.js", {{"Accept-Encoding", "br"}}).varies);
}

TEST_F(StaticPlanTest, Conditions) {
  tree.write("root/a.txt", "0123456789");
  tree.modified("root/a.txt", 784'111'777);
  const auto plain = ask("/a.txt");
  const auto& etag = plain.representation->etag;
  EXPECT_EQ(ask("/a.txt", {{"If-None-Match", etag}}).status, 304);
  EXPECT_EQ(ask("/a.txt", {{"If-None-Match", "\"x\""}}).status, 200);
  EXPECT_EQ(ask("/a.txt", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}}).status, 304);
  EXPECT_EQ(ask("/a.txt", {{"If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"}}).status, 200);
  const auto failed = ask("/a.txt", {{"If-Match", "\"x\""}});
  EXPECT_EQ(failed.kind, Kind::kRefusal);
  EXPECT_EQ(failed.status, 412);
  EXPECT_EQ(ask("/a.txt", {{"If-None-Match", etag}, {"Range", "bytes=0-1"}}).status, 304);
}

TEST_F(StaticPlanTest, TheTagOfOneCodingIsNotThatOfAnother) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.br", "brotli");
  const auto plain = ask("/app.js");
  const auto brotli = ask("/app.js", {{"Accept-Encoding", "br"}});
  EXPECT_NE(plain.representation->etag, brotli.representation->etag);
  EXPECT_EQ(ask("/app.js", {{"Accept-Encoding", "br"}, {"If-None-Match", plain.representation->etag}}).status, 200);
  EXPECT_EQ(ask("/app.js", {{"Accept-Encoding", "br"}, {"If-None-Match", brotli.representation->etag}}).status, 304);
}

TEST_F(StaticPlanTest, Ranges) {
  tree.write("root/a.txt", "0123456789");
  tree.write("root/a.txt.gz", "compressed-bytes");
  const auto part = ask("/a.txt", {{"Range", "bytes=2-4"}});
  EXPECT_EQ(part.status, 206);
  EXPECT_THAT(part.ranges, testing::ElementsAre(http::ByteRange{2, 3}));
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=2-4"}}, http::Method::kHead).status, 200);
  const auto outside = ask("/a.txt", {{"Range", "bytes=10-"}});
  EXPECT_EQ(outside.status, 416);
  EXPECT_EQ(outside.text, "bytes */10");
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=10-"}, {"Accept-Encoding", "gzip"}}).status, 206)
      << "of the chosen representation";
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=0-0,5-5"}}).ranges.size(), 2u);
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=2-4"}, {"If-Range", part.representation->etag}}).status, 206);
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=2-4"}, {"If-Range", "\"x\""}}).status, 200);
  EXPECT_EQ(ask("/a.txt", {{"Range", "bytes=20-"}, {"If-Range", "\"x\""}}).status, 200);
}

// --- listing ------------------------------------------------------------------------------------------------------

TEST_F(StaticPlanTest, Listing) {
  settings.autoindex = true;
  tree.write("root/files/b & <c>.txt", "x");
  tree.write("root/files/a:b.txt", "x");
  tree.write("root/files/.hidden", "x");
  tree.write("root/files/sub/x", "x");
  tree.write("root/files/with/index.html", "index");
  const auto plan = ask("/files/");
  ASSERT_EQ(plan.kind, Kind::kPage);
  EXPECT_EQ(plan.status, 200);
  EXPECT_THAT(plan.text, HasSubstr("href=\"./b%20&amp;%20%3Cc%3E.txt\">b &amp; &lt;c&gt;.txt</a>"));
  EXPECT_THAT(plan.text, HasSubstr("href=\"./a:b.txt\""));
  EXPECT_THAT(plan.text, HasSubstr("href=\"./sub/\">sub/</a>"));
  EXPECT_THAT(plan.text, HasSubstr("href=\"../\""));
  EXPECT_THAT(plan.text, Not(HasSubstr(".hidden")));
  EXPECT_LT(plan.text.find("sub/"), plan.text.find("a:b.txt"));
  EXPECT_LT(plan.text.find("a:b.txt"), plan.text.find("b &amp;"));
  EXPECT_EQ(get("/files/with/"), "index");
  EXPECT_EQ(ask("/files").text, "/files/");
  EXPECT_EQ(get("/none/"), "<404>");
  settings.autoindex = false;
  EXPECT_EQ(get("/files/"), "<404>");
}

TEST_F(StaticPlanTest, AListingIsBounded) {
  settings.autoindex = true;
  for (int i = 0; i < 4100; ++i) tree.write("root/" + std::to_string(i), "");
  const auto plan = ask("/");
  EXPECT_THAT(plan.text, HasSubstr("There are more entries"));
  EXPECT_LT(plan.text.size(), 1'000'000u);
}

// --- no work on a hit ---------------------------------------------------------------------------------------------

TEST_F(StaticPlanTest, ASecondRequestAsksTheDiskNothing) {
  settings.spa = true;
  tree.write("root/index.html", "home");
  navigate("/");
  navigate("/orders/12");
  const auto checks = cache.usage().checks;
  EXPECT_EQ(navigate("/"), "home");
  EXPECT_EQ(navigate("/orders/12"), "home");
  EXPECT_EQ(cache.usage().checks, checks);
}

}  // namespace
}  // namespace headgate::proxy
