// SPDX-License-Identifier: Apache-2.0
#include "compress/encoder.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "compress/encoder_store.h"
#include "tests/unit/compress/decode.h"

namespace headgate::compress {
namespace {

using http::Coding;

std::string content(std::mt19937& random, std::size_t size) {
  std::string text;
  while (text.size() < size) {
    // Some that compresses, some that does not.
    if (random() % 8 == 0) {
      for (int i = 0; i < 200; ++i) text += static_cast<char>(random());
    } else {
      text += "{\"id\":" + std::to_string(random() % 1000) + ",\"name\":\"item\"},";
    }
  }
  text.resize(size);
  return text;
}

/// All of `data`, through a small window for the output.
std::string run(Encoder& encoder, std::string_view data, Push push, std::size_t room) {
  std::string out;
  std::string block(room, '\0');
  for (int calls = 0;; ++calls) {
    const auto step = encoder.run({data.data(), data.size()}, {block.data(), block.size()}, push);
    EXPECT_FALSE(step.failed);
    out.append(block, 0, step.made);
    data.remove_prefix(step.taken);
    if (step.done) return out;
    if (step.failed || calls > 10'000'000) throw std::runtime_error("does not end");
  }
}

struct Case {
  Coding coding;
  int level;
  bool trickle;
};

class EncoderTest : public testing::TestWithParam<Case> {
 protected:
  EncoderStore store;
};

TEST_P(EncoderTest, ComesBackHoweverItIsCut) {
  const auto [coding, level, trickle] = GetParam();
  std::mt19937 random(7);
  // One after another by the same encoder.
  for (const std::size_t size : {0, 1, 100, 5'000, 70'000, 400'000, 3}) {
    const std::string text = content(random, size);
    Shape shape{level, {}, trickle};
    if (random() % 2 == 0) shape.size = size;
    auto encoder = store.lease(coding, shape);
    ASSERT_TRUE(encoder);
    std::string encoded;
    for (std::size_t at = 0; at < size;) {
      const std::size_t piece = std::min(size - at, std::size_t{1} + random() % 20'000);
      const Push push = random() % 4 == 0 ? Push::kAll : Push::kNothing;
      encoded += run(*encoder, std::string_view(text).substr(at, piece), push, 1 + random() % 5'000);
      at += piece;
      if (push == Push::kAll) {
        const auto so_far = decode(coding, encoded);
        ASSERT_TRUE(so_far.text == text.substr(0, at)) << "a push holds something back";
        ASSERT_FALSE(so_far.ended);
      }
    }
    encoded += run(*encoder, {}, Push::kEnd, 100);
    const auto whole = decode(coding, encoded);
    ASSERT_TRUE(whole.ended);
    ASSERT_TRUE(whole.text == text);
    if (size > 10'000) {
      EXPECT_LT(encoded.size(), size * 9 / 10);
    }
  }
}

TEST_P(EncoderTest, PushesTwiceForNothing) {
  const auto [coding, level, trickle] = GetParam();
  auto encoder = store.lease(coding, {level, {}, trickle});
  std::string encoded = run(*encoder, "data: 1\n\n", Push::kAll, 1000);
  encoded += run(*encoder, {}, Push::kAll, 1000);
  EXPECT_EQ(decode(coding, encoded).text, "data: 1\n\n");
  encoded += run(*encoder, {}, Push::kEnd, 1000);
  EXPECT_TRUE(decode(coding, encoded).ended);
}

TEST_P(EncoderTest, AnAbandonedOneBeginsAnew) {
  const auto [coding, level, trickle] = GetParam();
  {
    auto encoder = store.lease(coding, {level, {}, trickle});
    run(*encoder, "secret of another answer", Push::kNothing, 1000);
  }
  auto encoder = store.lease(coding, {level, {}, trickle});
  const auto encoded = run(*encoder, "mine", Push::kEnd, 1000);
  EXPECT_EQ(decode(coding, encoded).text, "mine");
}

INSTANTIATE_TEST_SUITE_P(Codings, EncoderTest,
                         testing::Values(Case{Coding::kGzip, 1, false}, Case{Coding::kGzip, 5, false},
                                         Case{Coding::kGzip, 6, false}, Case{Coding::kGzip, 5, true},
                                         Case{Coding::kBrotli, 1, false}, Case{Coding::kBrotli, 3, false},
                                         Case{Coding::kBrotli, 4, false}, Case{Coding::kBrotli, 3, true},
                                         Case{Coding::kZstd, 1, false}, Case{Coding::kZstd, 3, false},
                                         Case{Coding::kZstd, 6, false}, Case{Coding::kZstd, 3, true}),
                         [](const auto& test) {
                           return std::string(http::to_string(test.param.coding)) + std::to_string(test.param.level) +
                                  (test.param.trickle ? "trickle" : "");
                         });

TEST(Encoder, ChangesItsLevelFromContentToContent) {
  EncoderStore store;
  std::mt19937 random(1);
  const std::string text = content(random, 100'000);
  std::size_t sizes[2];
  for (const int level : {1, 6, 1}) {
    auto encoder = store.lease(Coding::kGzip, {level, {}, false});
    const auto encoded = run(*encoder, text, Push::kEnd, 1000);
    EXPECT_EQ(decode_gzip(encoded).text, text);
    sizes[level == 6 ? 1 : 0] = encoded.size();
  }
  EXPECT_LT(sizes[1], sizes[0]);
}

TEST(EncoderStore, HasABound) {
  EncoderStore store;
  std::vector<EncoderStore::Lease> leases;
  const Shape shape{4, {}, false};
  for (;;) {
    auto lease = store.lease(Coding::kZstd, shape);
    if (!lease) break;
    leases.push_back(std::move(lease));
    ASSERT_LE(leases.size(), 10'000U);
  }
  EXPECT_LE(store.in_use(), EncoderStore::kMostInUse);
  EXPECT_GT(store.in_use() + EncoderStore::cost(Coding::kZstd, shape), EncoderStore::kMostInUse);
  leases.pop_back();
  EXPECT_TRUE(store.lease(Coding::kZstd, shape));
  leases.clear();
  EXPECT_EQ(store.in_use(), 0U);
}

TEST(EncoderStore, EncodesAWholeContentAtOnce) {
  EncoderStore store;
  std::mt19937 random(3);
  const std::string text = content(random, EncoderStore::kWhole);
  std::string out(text.size() + 1000, '\0');
  const auto size = store.gzip(text, 5, out);
  ASSERT_GT(size, 0U);
  const auto decoded = decode_gzip({out.data(), size});
  EXPECT_TRUE(decoded.ended);
  EXPECT_EQ(decoded.text, text);
  EXPECT_EQ(store.gzip(text, 5, std::span(out).first(10)), 0U);
}

}  // namespace
}  // namespace headgate::compress
