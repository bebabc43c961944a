# SPDX-License-Identifier: Apache-2.0
"""The house keeps its direction: which folder may include which, and who alone sees a library."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

MAY_INCLUDE = {
    "base": set(),
    "config": {"base"},
    "observe": {"base", "config"},
    "http": {"base"},
    "compress": {"base", "config", "http"},
    "tls": {"base", "config"},
    "routing": {"base", "config", "observe", "http"},
    "auth": {"base", "tls"},
    "ratelimit": {"base", "config"},
    "upstream": {"base", "config", "http", "tls", "observe"},
    "traffic": {"base", "config", "observe", "routing", "ratelimit", "upstream"},
    "proxy": {"base", "config", "observe", "http", "tls", "compress", "routing", "auth", "ratelimit", "upstream",
              "traffic"},
}
# Routing decides about messages; how they are read and written is none of its business.
HTTP_FOR_ROUTING = {"http/message.h", "http/fields.h", "http/path.h"}
# A library that one folder alone knows, by the start of its headers' names.
KEPT_BY = {"yaml-cpp/": "config", "openssl/": "tls", "hiredis/": "ratelimit", "nghttp2/": "http", "ares": "upstream",
           "zlib.h": "compress", "libdeflate.h": "compress", "brotli/": "compress", "zstd.h": "compress",
           "crypt.h": "auth"}
# Only the tests know it: what they compare our parser with must have no part in the program.
KEPT_OUT = {"llhttp"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def includes():
    """(file, included name) of every include in the folders."""
    for folder in MAY_INCLUDE:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".h", ".cc"):
                for _, name in INCLUDE.findall(file.read_text()):
                    yield file.relative_to(ROOT), name


class House(unittest.TestCase):
    def test_includes_follow_the_direction(self):
        found = list(includes())
        self.assertGreater(len(found), 50, "the sources were not found")
        wrong = []
        for file, name in found:
            folder, target = file.parts[0], name.split("/")[0]
            if target not in MAY_INCLUDE or target == folder:
                continue
            if target not in MAY_INCLUDE[folder]:
                wrong.append(f"{file} includes {name}: {folder}/ may include only {sorted(MAY_INCLUDE[folder])}")
            elif folder == "routing" and target == "http" and name not in HTTP_FOR_ROUTING:
                wrong.append(f"{file} includes {name}: routing/ knows only {sorted(HTTP_FOR_ROUTING)}")
        self.assertEqual(wrong, [])

    def test_libraries_have_one_owner(self):
        wrong = [f"{file} includes {name}" for file, name in includes() if name.startswith(tuple(KEPT_OUT))]
        for file, name in includes():
            for start, owner in KEPT_BY.items():
                if name.startswith(start) and file.parts[0] != owner:
                    wrong.append(f"{file} includes {name}, which only {owner}/ may see")
        self.assertEqual(wrong, [])

    def test_links_follow_the_direction(self):
        """What a library is linked to, as its CMakeLists.txt says, is within the same table."""
        wrong = []
        for folder, allowed in MAY_INCLUDE.items():
            for file in (ROOT / folder).rglob("CMakeLists.txt"):
                text = re.sub(r"#.*", "", file.read_text())
                for target in re.findall(r"\bheadgate_([a-z]+)\b", text):
                    if target in MAY_INCLUDE and target != folder and target not in allowed:
                        wrong.append(f"{file.relative_to(ROOT)} links headgate_{target}")
        self.assertEqual(wrong, [])

    def test_there_is_no_circle(self):
        order = []
        left = {folder: set(targets) for folder, targets in MAY_INCLUDE.items()}
        while left:
            free = sorted(folder for folder, targets in left.items() if not targets - set(order))
            self.assertTrue(free, f"a circle among {sorted(left)}")
            order += free
            for folder in free:
                del left[folder]

    def test_headers_open_once(self):
        wrong = [str(file.relative_to(ROOT)) for folder in MAY_INCLUDE for file in (ROOT / folder).rglob("*.h")
                 if "#pragma once" not in file.read_text()]
        self.assertEqual(wrong, [])

    def test_licence_line(self):
        wrong = []
        for folder in [*MAY_INCLUDE, "bench", "tests"]:
            for file in (ROOT / folder).rglob("*"):
                if file.suffix in (".h", ".cc", ".py") and "SPDX-License-Identifier: Apache-2.0" not in file.read_text()[:300]:
                    wrong.append(str(file.relative_to(ROOT)))
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
