// SPDX-License-Identifier: Apache-2.0
// What a lookup may cost, in countable things: allocations. Times are measured by bench/micro.
#include <cstdlib>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/routing/table_fixture.h"

namespace {
thread_local std::size_t allocations = 0;  // of this thread, since it began
}

// Counting versions for the whole test program: all of them, since a sanitizer brings a pair of its own for each.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return operator new(size);
}
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return operator new(size, std::nothrow);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace headgate::routing {
namespace {

TEST(LookupCost, AllocatesNothing) {
  config::Config config;
  auto conditional = route({"/api/*"});
  conditional.conditions.change().methods = {"POST"};
  conditional.conditions.change().headers = {{"x-a", "1"}};
  conditional.conditions.change().query = {{"v", "2"}};
  conditional.conditions.change().client = {*Cidr::parse("10.0.0.0/8")};
  auto by_regex = regex_route("^/users/([0-9]+)$");
  config.sites = {
      site({"shop.example.com", "*.shop.example.com"}, {conditional, by_regex, route({"/exact"}), route({"/*"})}),
      site({})};
  const RouteTable table(config);
  http::Fields fields;
  fields.add(http::FieldId::kOther, "x-a", "2");
  RequestView request;
  request.fields = &fields;
  request.query = "v=2&w=%41";
  request.client = *IpAddress::parse("10.0.0.1");
  Captures captures;
  request.path = "/users/1";
  table.find_route(0, request, captures);  // the thread's first match makes its matcher

  const auto before = allocations;
  std::size_t sites = 0;
  std::size_t routes = 0;
  for (const std::string_view host : {"shop.example.com", "a.b.shop.example.com", "no.such.host.example.org"}) {
    sites += table.find_site(":8080", host);
  }
  for (const std::string_view path :
       {"/api/orders/with/a/long/path", "/users/12345678901234567890", "/exact", "/else"}) {
    for (const std::string_view method : {"GET", "POST"}) {
      request.path = path;
      request.method = method;
      routes += table.find_route(0, request, captures);
    }
  }
  const auto after = allocations;
  EXPECT_EQ(after - before, 0U);
  EXPECT_EQ(sites, 1U);
  EXPECT_EQ(routes, 2 * (3U + 1U + 2U + 3U));
}

/// The counting itself works: a test that cannot fail proves nothing.
TEST(LookupCost, AllocationsAreCounted) {
  const auto before = allocations;
  const std::string text(100, 'x');
  EXPECT_EQ(text.size(), 100U);
  EXPECT_GT(allocations, before);
}

TEST(LookupCost, AThousandSitesOfAHundredRoutes) {
  config::Config config;
  for (int s = 0; s < 1000; ++s) {
    std::vector<config::Route> routes(100);
    for (int r = 0; r < 100; ++r) {
      routes[static_cast<std::size_t>(r)].paths = {
          {"/section-" + std::to_string(r) + (r % 2 == 0 ? "/" : ""), r % 2 == 0}};
    }
    config.sites.push_back(site({"host-" + std::to_string(s) + ".example.com"}, std::move(routes)));
  }
  const auto before = allocations;
  const RouteTable table(config);
  // No object per prefix and at most one per exact path, and some per site.
  EXPECT_LT(allocations - before, 1000U * (50 + 100));
  RequestView request;
  Captures captures;
  request.method = "GET";
  for (int s = 0; s < 1000; s += 37) {
    const auto found = table.find_site(":80", "host-" + std::to_string(s) + ".example.com");
    ASSERT_EQ(found, static_cast<std::size_t>(s));
    request.path = "/section-98/x";
    EXPECT_EQ(table.find_route(found, request, captures), 98U);
    request.path = "/section-97";
    EXPECT_EQ(table.find_route(found, request, captures), 97U);
    request.path = "/section-97/";
    EXPECT_EQ(table.find_route(found, request, captures), RouteTable::kNone);
  }
}

}  // namespace
}  // namespace headgate::routing
