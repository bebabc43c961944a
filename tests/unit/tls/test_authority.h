// SPDX-License-Identifier: Apache-2.0
// A certificate authority for tests: makes at run time what a test needs.
#pragma once

#include <string>
#include <vector>

#include "tls/certificates.h"
#include "tls/handles.h"

namespace headgate::tls {

struct Wanted {
  std::vector<std::string> names = {};  // "DNS:a.example" or "IP:127.0.0.1"; empty: no alternative names
  std::string common_name = "test";
  bool rsa = false;
  bool encrypted_key = false;
  long begins = -3600;  // seconds from now
  long ends = 90 * 24 * 3600;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);

  /// Leaf and this authority's certificate, and the leaf's key.
  PemPair issue(const Wanted& wanted) const;
  const std::string& pem() const { return pem_; }

 private:
  KeyPtr key_;
  X509Ptr certificate_;
  std::string pem_;
};

/// A directory that goes away with its content.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name) const { return root_ + "/" + name; }

  /// Writes beside and renames, as careful tools do. Returns the path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string root_;
};

}  // namespace headgate::tls
