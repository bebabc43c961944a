// SPDX-License-Identifier: Apache-2.0
#include "http/path.h"

#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

using namespace std::string_view_literals;

std::string normal(std::string_view encoded) {
  std::string out = "left over";
  const auto notes = normalise_path(encoded, out);
  if (!notes) {
    EXPECT_EQ(out, "") << encoded;
    return "error: " + std::string(to_string(notes.error()));
  }
  return out;
}

PathNotes notes_of(std::string_view encoded) {
  std::string out;
  const auto notes = normalise_path(encoded, out);
  EXPECT_TRUE(notes.has_value()) << encoded;
  return notes ? *notes : PathNotes{};
}

void expect_error(std::string_view encoded, PathError expected) {
  std::string out = "left over";
  const auto notes = normalise_path(encoded, out);
  ASSERT_FALSE(notes.has_value()) << encoded << " gave " << out;
  EXPECT_EQ(notes.error(), expected) << encoded << ": " << to_string(notes.error());
  EXPECT_EQ(out, "") << encoded;
}

TEST(NormalisePath, LeavesANormalPathAlone) {
  for (const auto path : {"/", "/a", "/a/", "/api/v1/users/42", "/a.b", "/a..", "/a...", "/a./b", "/~x/y-z_0,1;p=q:@",
                          "/caf\xc3\xa9", "/\xff\xfe"}) {
    EXPECT_EQ(normal(path), path);
    const auto notes = notes_of(path);
    EXPECT_FALSE(notes.dot_segments || notes.merged_slashes || notes.encoded_separator) << path;
  }
}

TEST(NormalisePath, NamesThatBeginWithDotsAreNames) {
  for (const auto path :
       {"/.well-known/acme", "/.git/config", "/...", "/a/...", "/..a", "/.a", "/a/..b/c", "/....//x"}) {
    const auto notes = notes_of(path);
    EXPECT_FALSE(notes.dot_segments) << path;
  }
  EXPECT_EQ(normal("/.well-known/acme"), "/.well-known/acme");
  EXPECT_EQ(normal("/..."), "/...");
  EXPECT_EQ(normal("/..a/..b"), "/..a/..b");
}

TEST(NormalisePath, DecodesOnce) {
  EXPECT_EQ(normal("/%61%62c"), "/abc");
  EXPECT_EQ(normal("/a%20b"), "/a b");
  EXPECT_EQ(normal("/%c3%A9"), "/\xc3\xa9");
  EXPECT_EQ(normal("/a+b"), "/a+b");
  EXPECT_EQ(normal("/a%3fb%23c"), "/a?b#c");
  EXPECT_EQ(normal("/%252e%252e/x"), "/%2e%2e/x");
  EXPECT_EQ(normal("/%25%32%65"), "/%2e");
  EXPECT_EQ(normal("/%2500"), "/%00");
  EXPECT_EQ(normal("/a%252fb"), "/a%2fb");
}

TEST(NormalisePath, EveryByteEscaped) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("/x%") + kDigits[static_cast<std::size_t>(byte / 16)] +
                             kDigits[static_cast<std::size_t>(byte % 16)] + "y";
    if (byte == 0) {
      expect_error(text, PathError::kNul);
    } else if (byte < 0x20 || byte == 0x7f) {
      expect_error(text, PathError::kControl);
    } else if (byte == '/' || byte == '\\') {
      EXPECT_EQ(normal(text), "/x/y");
      EXPECT_TRUE(notes_of(text).encoded_separator);
    } else {
      EXPECT_EQ(normal(text), std::string("/x") + static_cast<char>(byte) + "y");
    }
  }
}

TEST(NormalisePath, EveryByteAsItIs) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("/x") + static_cast<char>(byte) + "y";
    if (byte == 0) {
      expect_error(text, PathError::kNul);
    } else if (byte < 0x20 || byte == 0x7f) {
      expect_error(text, PathError::kControl);
    } else if (byte == '%') {
      expect_error(text, PathError::kBadEscape);
    } else if (byte == '\\') {
      EXPECT_EQ(normal(text), "/x/y");
    } else {
      EXPECT_EQ(normal(text), text);
    }
  }
}

TEST(NormalisePath, BadEscapes) {
  for (const auto path : {"/%", "/%2", "/a%", "/a%2", "/%zz", "/%2z", "/%z2", "/%%41", "/%u002e", "/% 2f", "/%-1",
                          "/%+1", "/%0x", "/a/%2%65"}) {
    expect_error(path, PathError::kBadEscape);
  }
}

TEST(NormalisePath, NotAbsolute) {
  for (const auto path :
       {"", "*", "a", "a/b", "%2fa", "%2Fetc/passwd", "\\a", ".", "..", "./a", "http://a/", "?/", " /a"}) {
    expect_error(path, PathError::kNotAbsolute);
  }
}

TEST(NormalisePath, SlashesMerge) {
  EXPECT_EQ(normal("//"), "/");
  EXPECT_EQ(normal("///"), "/");
  EXPECT_EQ(normal("//a//b//"), "/a/b/");
  EXPECT_EQ(normal("/a/%2f/b"), "/a/b");
  EXPECT_EQ(normal("/a\\\\b"), "/a/b");
  EXPECT_EQ(normal("//example.com/x"), "/example.com/x");
  EXPECT_TRUE(notes_of("//a").merged_slashes);
  EXPECT_TRUE(notes_of("/a//").merged_slashes);
  EXPECT_TRUE(notes_of("/a/%2f").merged_slashes);
  EXPECT_FALSE(notes_of("/a/b/").merged_slashes);
}

TEST(NormalisePath, SeparatorsInEverySpelling) {
  for (const auto path : {"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a\\b"}) {
    EXPECT_EQ(normal(path), "/a/b");
    EXPECT_TRUE(notes_of(path).encoded_separator) << path;
  }
  EXPECT_FALSE(notes_of("/a//b").encoded_separator);
  EXPECT_EQ(normal("/a%5c"), "/a/");
}

TEST(NormalisePath, DotSegments) {
  EXPECT_EQ(normal("/."), "/");
  EXPECT_EQ(normal("/./"), "/");
  EXPECT_EQ(normal("/a/."), "/a/");
  EXPECT_EQ(normal("/a/./b"), "/a/b");
  EXPECT_EQ(normal("/a/././b/."), "/a/b/");
  EXPECT_EQ(normal("/a/.."), "/");
  EXPECT_EQ(normal("/a/../"), "/");
  EXPECT_EQ(normal("/a/b/.."), "/a/");
  EXPECT_EQ(normal("/a/b/../c"), "/a/c");
  EXPECT_EQ(normal("/a/b/../../c"), "/c");
  EXPECT_EQ(normal("/a/b/c/./../../g"), "/a/g");
  EXPECT_EQ(normal("/a//../b"), "/b");
  EXPECT_EQ(normal("/a/./../b"), "/b");
  for (const auto path : {"/.", "/a/.", "/a/..", "/a/./b", "/a/%2e", "/a/%2e./b"}) {
    EXPECT_TRUE(notes_of(path).dot_segments) << path;
  }
}

/// Every way to write "..", "/" and to put them together leads to the same place, or above the root.
TEST(NormalisePath, DotDotInEverySpelling) {
  const std::string_view dots[] = {"..", "%2e%2e", "%2E%2e", "%2E%2E", "%2e.", ".%2e", ".%2E", "%2E."};
  const std::string_view separators[] = {"/", "%2f", "%2F", "\\", "%5c", "%5C", "//", "/./", "/%2e/", "\\.\\"};
  for (const auto dot : dots) {
    for (const auto first : separators) {
      for (const auto second : separators) {
        const auto inside = "/public" + std::string(first) + std::string(dot) + std::string(second) + "admin";
        EXPECT_EQ(normal(inside), "/admin") << inside;
        EXPECT_TRUE(notes_of(inside).dot_segments) << inside;
        const auto above =
            "/a" + std::string(first) + std::string(dot) + std::string(second) + std::string(dot) + "/etc/passwd";
        expect_error(above, PathError::kAboveRoot);
        expect_error("/" + std::string(dot) + std::string(second) + "etc", PathError::kAboveRoot);
      }
    }
    expect_error("/" + std::string(dot), PathError::kAboveRoot);
    EXPECT_EQ(normal("/a/b/" + std::string(dot)), "/a/");
  }
}

TEST(NormalisePath, OverlongUtf8IsNoSeparatorAndNoDot) {
  EXPECT_EQ(normal("/a/%c0%ae%c0%ae/b"), "/a/\xc0\xae\xc0\xae/b");
  EXPECT_EQ(normal("/a%c0%afb"),
            "/a\xc0\xaf"
            "b");
  EXPECT_EQ(normal("/a%e0%80%afb"),
            "/a\xe0\x80\xaf"
            "b");
  // Fullwidth dots and slashes are other characters.
  EXPECT_EQ(normal("/%ef%bc%8e%ef%bc%8e/"), "/\xef\xbc\x8e\xef\xbc\x8e/");
}

TEST(NormalisePath, AnErrorWinsWhereverItStands) {
  expect_error("/a/b/%00", PathError::kNul);
  expect_error("/a%00.jpg", PathError::kNul);
  expect_error("/a\0b"sv, PathError::kNul);
  expect_error("/a%0d%0aSet-Cookie:x", PathError::kControl);
  expect_error("/a\tb", PathError::kControl);
  expect_error("/a/%7f", PathError::kControl);
  expect_error("/a/../../b/%2e%2e/c/d", PathError::kAboveRoot);
}

TEST(NormalisePath, ALongHostilePathIsLinear) {
  std::string climb = "/";
  for (int i = 0; i < 20000; ++i) climb += "a/";
  for (int i = 0; i < 20000; ++i) climb += "../";
  EXPECT_EQ(normal(climb), "/");
  expect_error(climb + "..", PathError::kAboveRoot);
}

TEST(EncodePath, EscapesWhatMayNotStand) {
  std::string out = "before";
  append_encoded_path("/a b/\xc3\xa9?#%\"<>\\^`{|}[]/x", out);
  EXPECT_EQ(out, "before/a%20b/%C3%A9%3F%23%25%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D/x");
}

TEST(EncodePath, KeepsWhatMayStand) {
  constexpr std::string_view kKept = "/azAZ09-._~!$&'()*+,;=:@/";
  std::string out;
  append_encoded_path(kKept, out);
  EXPECT_EQ(out, kKept);
  out.clear();
  append_encoded_path("", out);
  EXPECT_EQ(out, "");
}

/// Whatever comes in: what comes out is normal, and stays so on the way through the wire and back.
TEST(IsNormalPath, SaysYesOnlyOfWhatNormalisingLeavesAlone) {
  constexpr std::string_view kPieces[] = {"/", "a", ".", "..", "%2e", "%2f", "\\", "\x1f", "\x7f", "\xc3", "b%", "?"};
  std::mt19937 random(7);
  std::size_t yes = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string path = round % 8 == 0 ? "" : "/";
    for (auto pieces = random() % 7; pieces > 0; --pieces) path += kPieces[random() % std::size(kPieces)];
    if (!is_normal_path(path)) continue;
    ++yes;
    EXPECT_EQ(normal(path), path);
    const auto notes = notes_of(path);
    EXPECT_FALSE(notes.dot_segments || notes.merged_slashes || notes.encoded_separator) << path;
  }
  EXPECT_GT(yes, 1000u);
  EXPECT_TRUE(is_normal_path("/a/b.c/d..e/"));
  EXPECT_FALSE(is_normal_path(""));
  EXPECT_FALSE(is_normal_path("a"));
}

TEST(NormalisePath, RoundTripOfRandomPaths) {
  const std::string_view pieces[] = {"/",   "//",  "\\",  ".",   "..", "a",   "b.c", "%2e", "%2f",  "%5C", "%25",
                                     "%20", "%c3", "...", "%7e", "x",  "%00", "%zz", "/./", "/../", "%0a", "\xc3\xa9"};
  std::mt19937 random(20240817);
  int good = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string encoded = "/";
    for (auto left = random() % 10; left > 0; --left) encoded += pieces[random() % std::size(pieces)];
    std::string path;
    if (!normalise_path(encoded, path)) continue;
    ++good;
    ASSERT_EQ(path.front(), '/') << encoded;
    ASSERT_EQ(path.find("//"), std::string::npos) << encoded;
    ASSERT_EQ(path.find('\\'), std::string::npos) << encoded;
    ASSERT_EQ((path + "/").find("/./"), std::string::npos) << encoded;
    ASSERT_EQ((path + "/").find("/../"), std::string::npos) << encoded;
    std::string again;
    append_encoded_path(path, again);
    std::string path_again;
    const auto notes = normalise_path(again, path_again);
    ASSERT_TRUE(notes.has_value()) << encoded;
    ASSERT_EQ(path_again, path) << encoded;
    ASSERT_FALSE(notes->dot_segments || notes->merged_slashes || notes->encoded_separator) << encoded;
  }
  EXPECT_GT(good, 5000);
}

TEST(PathErrors, HaveWordsAndThrowThem) {
  std::string out;
  EXPECT_THROW(normalise_path("/..", out).value(), std::invalid_argument);
  for (const auto error :
       {PathError::kNotAbsolute, PathError::kBadEscape, PathError::kNul, PathError::kControl, PathError::kAboveRoot}) {
    EXPECT_EQ(to_string(error).substr(0, 8), "the path");
  }
}

}  // namespace
}  // namespace headgate::http
