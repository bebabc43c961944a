# SPDX-License-Identifier: Apache-2.0
"""Requests that must be refused: (name, bytes, statuses that are right). Where the length of the message is in doubt the
connection must be closed, and nothing that stood behind the bad part may ever be taken for a request of its own."""

HOST = b"Host: example.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: example.test\r\n\r\n"


def get(target=b"/x", fields=b"", version=b"HTTP/1.1", host=HOST, method=b"GET"):
    return method + b" " + target + b" " + version + b"\r\n" + host + fields + b"\r\n"


def post(fields, body=b"", version=b"HTTP/1.1"):
    return b"POST /x " + version + b"\r\n" + HOST + fields + b"\r\n" + body


def chunked(body):
    """For /begun: its head is good, so the origin may see its beginning, at a time of its own."""
    return post(b"Transfer-Encoding: chunked\r\n", body).replace(b" /x ", b" /begun ", 1)


# --- how long the body is (RFC 9112 section 6) ----------------------------------------------------------------------
LENGTHS = [
    ("length and chunked", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("chunked and length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("chunked and length 0", post(b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("two lengths that differ", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello" + SMUGGLED), {400}),
    ("two lengths that differ, far apart",
     post(b"Content-Length: 0\r\nX-A: b\r\nContent-Length: 46\r\n", SMUGGLED), {400}),
    ("a list of equal lengths", post(b"Content-Length: 1, 1\r\n", b"a" + SMUGGLED), {400}),
    ("a list of lengths", post(b"Content-Length: 1, 2\r\n", b"a" + SMUGGLED), {400}),
    ("length with plus", post(b"Content-Length: +1\r\n", b"a" + SMUGGLED), {400}),
    ("negative length", post(b"Content-Length: -1\r\n", b"a" + SMUGGLED), {400}),
    ("negative zero", post(b"Content-Length: -0\r\n", SMUGGLED), {400}),
    ("hexadecimal length", post(b"Content-Length: 0x1\r\n", b"a" + SMUGGLED), {400}),
    ("length with exponent", post(b"Content-Length: 1e1\r\n", b"a" * 10 + SMUGGLED), {400}),
    ("length with a fraction", post(b"Content-Length: 1.0\r\n", b"a" + SMUGGLED), {400}),
    ("length with underscore", post(b"Content-Length: 1_0\r\n", b"a" * 10 + SMUGGLED), {400}),
    ("length with a blank inside", post(b"Content-Length: 1 0\r\n", b"a" * 10 + SMUGGLED), {400}),
    ("length with a comma", post(b"Content-Length: 1,\r\n", b"a" + SMUGGLED), {400}),
    ("length of letters", post(b"Content-Length: one\r\n", b"a" + SMUGGLED), {400}),
    ("quoted length", post(b'Content-Length: "1"\r\n', b"a" + SMUGGLED), {400}),
    ("empty length", post(b"Content-Length:\r\n", SMUGGLED), {400}),
    ("blank length", post(b"Content-Length:  \r\n", SMUGGLED), {400}),
    ("length above 64 bits", post(b"Content-Length: 18446744073709551616\r\n", SMUGGLED), {400, 413}),
    ("length of many digits", post(b"Content-Length: " + b"9" * 400 + b"\r\n", SMUGGLED), {400, 413}),
    ("length of GET that wraps", get(fields=b"Content-Length: 18446744073709551617\r\n") + SMUGGLED, {400, 413}),
]

CODINGS = [
    ("chunked is not last", post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("chunked before gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("identity", post(b"Transfer-Encoding: identity\r\n", SMUGGLED), {400, 501}),
    ("identity with a length", post(b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n", SMUGGLED), {400, 501}),
    ("xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("chunkedx", post(b"Transfer-Encoding: chunkedx\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("chunked twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("chunked twice in two fields",
     post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("chunked, then identity in a second field",
     post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("identity, then chunked in a second field",
     post(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("gzip and chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("gzip alone", post(b"Transfer-Encoding: gzip\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("vertical tab behind chunked", post(b"Transfer-Encoding: chunked\x0b\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("vertical tab before chunked", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("form feed behind chunked", post(b"Transfer-Encoding: chunked\x0c\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("quoted chunked", post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("chunked with a parameter", post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n" + SMUGGLED), {400, 501}),
    ("empty element behind chunked", post(b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("empty transfer coding", post(b"Transfer-Encoding:\r\n", SMUGGLED), {400}),
    ("empty transfer coding with a length",
     post(b"Transfer-Encoding:\r\nContent-Length: 46\r\n", SMUGGLED), {400}),
    ("blank before the colon", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("transfer coding in HTTP/1.0", post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"HTTP/1.0"), {400}),
    ("transfer coding and length in HTTP/1.0",
     post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n", b"HTTP/1.0"), {400}),
    ("transfer coding of a GET with a length",
     get(fields=b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n" + SMUGGLED, {400}),
]

# --- the lines (RFC 9112 sections 2.2, 3, 5) ------------------------------------------------------------------------
LINES = [
    ("bare LF after the request line", b"GET /x HTTP/1.1\n" + HOST + b"\r\n" + SMUGGLED, {400}),
    ("bare LF after a field", b"GET /x HTTP/1.1\r\nHost: example.test\nX-A: b\r\n\r\n" + SMUGGLED, {400}),
    ("bare LF at the end of the head", b"GET /x HTTP/1.1\r\nHost: example.test\r\n\n" + SMUGGLED, {400}),
    ("only bare LFs", b"GET /x HTTP/1.1\nHost: example.test\n\n" + SMUGGLED, {400}),
    ("bare CR after the request line", b"GET /x HTTP/1.1\r" + HOST + b"\r\n" + SMUGGLED, {400}),
    ("bare CR in the target", get(b"/x\ry") + SMUGGLED, {400}),
    ("bare CR in a field's value", get(fields=b"X-A: b\rTransfer-Encoding: chunked\r\n") + SMUGGLED, {400}),
    ("bare CR at a value's end", get(fields=b"X-A: b\r\r\n") + SMUGGLED, {400}),
    ("bare CR in a field's name", get(fields=b"X\rA: b\r\n") + SMUGGLED, {400}),
    ("bare CR ends the head", b"GET /x HTTP/1.1\r\nHost: example.test\r\n\r\r\n\r\n" + SMUGGLED, {400}),
    ("NUL in the method", b"G\0T /x HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, {400, 501}),
    ("NUL in the target", get(b"/x\0y") + SMUGGLED, {400}),
    ("NUL in the version", get(version=b"HTTP/1.1\0") + SMUGGLED, {400}),
    ("NUL in a field's name", get(fields=b"X\0A: b\r\n") + SMUGGLED, {400}),
    ("NUL in a field's value", get(fields=b"X-A: b\0c\r\n") + SMUGGLED, {400}),
    ("NUL in Host", get(host=b"Host: example\0.test\r\n") + SMUGGLED, {400}),
    ("control character in a value", get(fields=b"X-A: b\x01c\r\n") + SMUGGLED, {400}),
    ("delete character in a value", get(fields=b"X-A: b\x7fc\r\n") + SMUGGLED, {400}),
    ("control character in the target", get(b"/x\x01y") + SMUGGLED, {400}),
    ("tab in the target", get(b"/x\ty") + SMUGGLED, {400}),
    ("delete character in the target", get(b"/x\x7fy") + SMUGGLED, {400}),
    ("blank before a colon", get(fields=b"X-A : b\r\n") + SMUGGLED, {400}),
    ("tab before a colon", get(fields=b"X-A\t: b\r\n") + SMUGGLED, {400}),
    ("blank before the colon of Content-Length", post(b"Content-Length : 5\r\n", b"hello" + SMUGGLED), {400}),
    ("folded field", get(fields=b"X-A: b\r\n c\r\n") + SMUGGLED, {400}),
    ("field folded with a tab", get(fields=b"X-A: b\r\n\tc\r\n") + SMUGGLED, {400}),
    ("folded transfer coding", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n" + SMUGGLED), {400}),
    ("blank before the first field", b"GET /x HTTP/1.1\r\n " + HOST + b"\r\n" + SMUGGLED, {400}),
    ("field without a colon", get(fields=b"X-A\r\n") + SMUGGLED, {400}),
    ("field without a name", get(fields=b": b\r\n") + SMUGGLED, {400}),
    ("a bracket in a name", get(fields=b"X[A]: b\r\n") + SMUGGLED, {400}),
    ("a quote in a name", get(fields=b'X"A: b\r\n') + SMUGGLED, {400}),
    ("a byte above 127 in a name", get(fields=b"X\xc3\xa9: b\r\n") + SMUGGLED, {400}),
    ("a tab in the request line", b"GET\t/x HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, {400, 501}),
    ("a blank before the method", b" GET /x HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, {400, 501}),
    ("a blank behind the version", b"GET /x HTTP/1.1 \r\n" + HOST + b"\r\n" + SMUGGLED, {400}),
    ("a blank in the target", b"GET /x y HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, {400}),
    ("no target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED, {400}),
    ("no version", b"GET /x\r\n" + HOST + b"\r\n" + SMUGGLED, {400, 505}),
    ("lower-case protocol", get(version=b"http/1.1") + SMUGGLED, {400, 505}),
    ("another protocol", get(version=b"RTSP/1.0") + SMUGGLED, {400, 505}),
    ("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 40 + b"\r\n\r\n", {400, 501}),
    ("HTTP/2.0", get(version=b"HTTP/2.0") + SMUGGLED, {505}),
    ("HTTP/9.9", get(version=b"HTTP/9.9") + SMUGGLED, {505}),
    ("HTTP/0.9", get(version=b"HTTP/0.9") + SMUGGLED, {400, 505}),
    ("HTTP/1.10", get(version=b"HTTP/1.10") + SMUGGLED, {400, 505}),
    ("HTTP/01.1", get(version=b"HTTP/01.1") + SMUGGLED, {400, 505}),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    ("CONNECT", b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n" + SMUGGLED, {501}),
    ("CONNECT with a body", b"CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\nContent-Length: 46\r\n\r\n"
     + SMUGGLED, {400, 501}),
]

# --- whose it is: Host and the target (RFC 9112 section 3.2). The framing is sound: closing is allowed, not owed ---------------------------------------------------------
TARGETS = [
    ("no Host", get(host=b""), {400}),
    ("two equal Hosts", get(fields=HOST), {400}),
    ("two Hosts", get(fields=b"Host: other.test\r\n"), {400}),
    ("Host with a user", get(host=b"Host: user@example.test\r\n"), {400}),
    ("Host with a password", get(host=b"Host: a:b@example.test\r\n"), {400}),
    ("Host with a blank", get(host=b"Host: example test\r\n"), {400}),
    ("Host as a list", get(host=b"Host: example.test, other.test\r\n"), {400}),
    ("Host with a path", get(host=b"Host: example.test/x\r\n"), {400}),
    ("Host with a query", get(host=b"Host: example.test?x\r\n"), {400}),
    ("Host with a fragment", get(host=b"Host: example.test#x\r\n"), {400}),
    ("Host with a scheme", get(host=b"Host: http://example.test\r\n"), {400}),
    ("Host with a backslash", get(host=b"Host: example.test\\x\r\n"), {400}),
    ("Host with a port of letters", get(host=b"Host: example.test:http\r\n"), {400}),
    ("Host with a port too high", get(host=b"Host: example.test:65536\r\n"), {400}),
    ("Host with a negative port", get(host=b"Host: example.test:-1\r\n"), {400}),
    ("Host with two ports", get(host=b"Host: example.test:80:81\r\n"), {400}),
    ("Host with an open bracket", get(host=b"Host: [::1\r\n"), {400}),
    ("Host with IPv6 without brackets", get(host=b"Host: ::1\r\n"), {400}),
    ("Host with a bad IPv6 address", get(host=b"Host: [::g]\r\n"), {400}),
    ("Host with text behind the bracket", get(host=b"Host: [::1]x\r\n"), {400}),
    ("absolute form, another host", get(b"http://other.test/x"), {400}),
    ("absolute form, another port", get(b"http://example.test:81/x"), {400}),
    ("absolute form with a user", get(b"http://user@example.test/x"), {400}),
    ("absolute form without a host", get(b"http:///x"), {400}),
    ("absolute form, another scheme", get(b"ftp://example.test/x"), {400}),
    ("absolute form, no slashes", get(b"http:example.test/x"), {400}),
    ("authority form", get(b"example.test:80"), {400}),
    ("authority form, no port", get(b"example.test"), {400}),
    ("asterisk form of GET", get(b"*"), {400}),
    ("relative target", get(b"x/y"), {400}),
    ("query only", get(b"?x=1"), {400}),
]

# --- above the root, in each spelling; characters that no path has --------------------------------------------------
ABOVE_ROOT = [
    b"/..", b"/../", b"/../etc/passwd", b"/a/../../b", b"/%2e%2e", b"/%2E%2E/x", b"/.%2e/x", b"/%2e./x", b"/..%2fx",
    b"/..%2Fx", b"/%2e%2e%2fx", b"/..%5cx", b"/%2e%2e%5Cx", b"/..\\x", b"/a/..\\..\\x", b"/a/%2e%2e/%2e%2e/x",
    b"//..", b"/./../x", b"/a//../../x", b"/a/.%2e%2f..%2fx", b"/%2f..%2f..", b"/..?x=1", b"/%5c..%5c..%5cx",
]
BAD_PATHS = [
    b"/%00", b"/x%00.html", b"/%", b"/%4", b"/%zz", b"/%4g", b"/x%0a", b"/x%0d%0aX-A:%20b", b"/x%01", b"/x%1f", b"/x%7f",
    b"/%u002e",
]
PATHS = [(f"path {path.decode('latin-1')}", get(path), {400}) for path in ABOVE_ROOT + BAD_PATHS]

# --- chunks (RFC 9112 section 7.1): the head is good, so the origin may have seen its beginning, never its end ---------
CHUNKS = [
    ("size of no digit", chunked(b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size of letters", chunked(b"Z\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size with 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size with plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("negative size", chunked(b"-5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("blank before the size", chunked(b" 5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("blank behind the size", chunked(b"5 \r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size with underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size of 64 bits", chunked(b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("size above 64 bits", chunked(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400, 413}),
    ("size that wraps to 5", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400, 413}),
    ("endless zeros in a size", chunked(b"0" * 70000 + b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400, 413, 431}),
    ("bare LF behind a size", chunked(b"5\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("bare CR behind a size", chunked(b"5\rhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("bare LF behind the data", chunked(b"5\r\nhello\n0\r\n\r\n" + SMUGGLED), {400}),
    ("no CRLF behind the data", chunked(b"5\r\nhello0\r\n\r\n" + SMUGGLED), {400}),
    ("data longer than its size", chunked(b"5\r\nhello world\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("bare LF behind the last chunk", chunked(b"5\r\nhello\r\n0\n\r\n" + SMUGGLED), {400}),
    ("bare LF at the end", chunked(b"5\r\nhello\r\n0\r\n\n" + SMUGGLED), {400}),
    ("no final CRLF", chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED), {400}),
    ("NUL in an extension", chunked(b"5;a=\0\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("bare LF in an extension", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("bare CR in an extension", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400}),
    ("endless extension", chunked(b"5;a=" + b"b" * 70000 + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), {400, 413, 431}),
    ("blank before a trailer's colon", chunked(b"5\r\nhello\r\n0\r\nX-A : b\r\n\r\n" + SMUGGLED), {400}),
    ("folded trailer", chunked(b"5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n" + SMUGGLED), {400}),
    ("NUL in a trailer", chunked(b"5\r\nhello\r\n0\r\nX-A: b\0\r\n\r\n" + SMUGGLED), {400}),
    ("endless trailer", chunked(b"5\r\nhello\r\n0\r\nX-A: " + b"b" * 70000 + b"\r\n\r\n" + SMUGGLED), {400, 413, 431}),
    ("too many trailers", chunked(b"5\r\nhello\r\n0\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n" + SMUGGLED), {400, 413, 431}),
]

# --- too much ---------------------------------------------------------------------------------------------------------
SIZES = [
    ("long target", get(b"/" + b"a" * 40000), {414}),
    ("endless target", b"GET /" + b"a" * 200000, {414}),
    ("long value", get(fields=b"X-A: " + b"b" * 40000 + b"\r\n"), {431}),
    ("long name", get(fields=b"X-" + b"a" * 40000 + b": b\r\n"), {431}),
    ("many bytes in many fields", get(fields=b"".join(b"X-%d: %s\r\n" % (i, b"b" * 700) for i in range(60))), {431}),
    ("too many fields", get(fields=b"".join(b"X-%d: b\r\n" % i for i in range(101))), {431}),
    ("endless fields", b"GET /x HTTP/1.1\r\n" + HOST + b"X-A: b\r\n" * 20000, {431}),
    ("a length above the limit", post(b"Content-Length: 2000000\r\n", b"a" * 1000), {413}),
    ("a length above the limit, waiting for 100", post(b"Content-Length: 2000000\r\nExpect: 100-continue\r\n"), {413}),
    ("chunks above the limit", chunked((b"10000\r\n" + b"a" * 65536 + b"\r\n") * 17 + b"0\r\n\r\n"), {413}),
]
