// SPDX-License-Identifier: Apache-2.0
#include "tls/ticket_keys.h"

#include <algorithm>
#include <cstring>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "tls/errors.h"

namespace headgate::tls {
namespace {

constexpr std::string_view kMagic = "headgate-tickets-1\n";
constexpr std::size_t kSavedKey = 16 + 32 + 32 + 8;

template <std::size_t N>
bool fill(std::array<unsigned char, N>& bytes) {
  return RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
}

template <std::size_t N>
void append(std::string& out, const std::array<unsigned char, N>& bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <std::size_t N>
std::string_view take(std::string_view in, std::array<unsigned char, N>& bytes) {
  std::memcpy(bytes.data(), in.data(), N);
  return in.substr(N);
}

}  // namespace

TicketKeys::Key::~Key() {
  OPENSSL_cleanse(cipher.data(), cipher.size());
  OPENSSL_cleanse(mac.data(), mac.size());
}

TicketKeys::TicketKeys(std::function<Time()> now) : now_(std::move(now)) {}

void TicketKeys::forget_old(Time now) {
  std::erase_if(keys_, [&](const Key& key) { return now - key.made >= kRotation * kKeys; });
  if (keys_.size() > kKeys) keys_.resize(kKeys);
}

std::optional<TicketKeys::Key> TicketKeys::current() {
  const Time now = now_();
  const std::lock_guard lock(mutex_);
  // A clock that was set back must not keep one key for longer than was meant.
  if (!keys_.empty() && now >= keys_.front().made && now - keys_.front().made < kRotation) return keys_.front();
  Key fresh;
  if (!fill(fresh.name) || !fill(fresh.cipher) || !fill(fresh.mac)) {
    clear_errors();
    return std::nullopt;
  }
  fresh.made = now;
  keys_.insert(keys_.begin(), fresh);
  forget_old(now);
  return keys_.front();
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const unsigned char> name) {
  const Time now = now_();
  const std::lock_guard lock(mutex_);
  forget_old(now);
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!std::ranges::equal(keys_[i].name, name)) continue;
    return Found{keys_[i], i == 0 && now - keys_[i].made < kRotation};
  }
  return std::nullopt;
}

std::string TicketKeys::save() {
  const Time now = now_();
  const std::lock_guard lock(mutex_);
  forget_old(now);
  std::string out(kMagic);
  for (const Key& key : keys_) {
    append(out, key.name);
    append(out, key.cipher);
    append(out, key.mac);
    auto seconds = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(key.made.time_since_epoch()).count());
    for (int i = 0; i < 8; ++i, seconds >>= 8) out.push_back(static_cast<char>(seconds & 0xff));
  }
  return out;
}

bool TicketKeys::restore(std::string_view saved) {
  if (!saved.starts_with(kMagic)) return false;
  saved.remove_prefix(kMagic.size());
  if (saved.size() % kSavedKey != 0 || saved.size() / kSavedKey > kKeys) return false;
  const Time now = now_();
  std::vector<Key> keys;
  while (!saved.empty()) {
    Key key;
    saved = take(saved, key.name);
    saved = take(saved, key.cipher);
    saved = take(saved, key.mac);
    std::uint64_t seconds = 0;
    for (std::size_t i = 8; i-- > 0;) seconds = (seconds << 8) | static_cast<unsigned char>(saved[i]);
    saved.remove_prefix(8);
    if (seconds > static_cast<std::uint64_t>(std::chrono::system_clock::to_time_t(now))) continue;
    key.made = Time(std::chrono::seconds(seconds));
    keys.push_back(key);
  }
  std::ranges::stable_sort(keys, std::ranges::greater{}, &Key::made);
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
  forget_old(now);
  return true;
}

}  // namespace headgate::tls
