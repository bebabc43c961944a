# SPDX-License-Identifier: Apache-2.0
"""Who takes part, and how each is set up: as somebody would who knows it well, with one worker on one core."""

import dataclasses
import os
import re
import shutil
import subprocess

from .program import DidNotStart, Program, cores, free_port

PEERS = ("nginx", "haproxy", "h2o")
RELAYS = ("floor_relay", "loop_relay")
FLOOR_SERVER = "floor_server"  # the origin itself: it sends what it has in memory, and parses nothing
FLOORS = ("floor_relay", FLOOR_SERVER)


class CannotDo(Exception):
    """A subject has no part in a case; the text says why."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a case needs of a subject."""

    action: str = "proxy"  # or "static"
    tls: bool = False
    h2: bool = False
    log: bool = True      # an access log, written in blocks
    limits: bool = False  # a rate limit that nothing exceeds, and metrics where there are such
    limit: str = ""       # such a rate limit alone: counted in the process ("local"), or in Redis ("redis")
    gzip: bool = False    # answers are compressed on their way, at level 5
    workers: int = 1
    sites: int = 0   # with routes each; 0: one site for every host and path
    routes: int = 0


@dataclasses.dataclass
class Stage:
    """Where a run takes place."""

    folder: object   # certificates, files, configurations, logs
    programs: object  # the folder of origin, relays and load generators
    headgate: str    # the binary
    against: dict    # other headgate binaries by the name they run under
    also: dict       # other relays' commands by name
    without: set
    origin: object = None
    redis: object = None
    load_cores: str = ""
    serial: int = 0

    def path(self, name, ending):
        self.serial += 1
        return self.folder / f"{name}-{self.serial}.{ending}"


def named(peer):
    """What the environment says, as in NGINX=/path."""
    return os.environ.get(peer.upper())


def binary(name):
    """Of a peer: what the environment names, or what is installed."""
    return named(name) or shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")


def version(name, program):
    command = {"nginx": ["-v"], "haproxy": ["-v"], "h2o": ["-v"]}.get(name, ["version"])
    done = subprocess.run([program, *command], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?\S*", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def hosts(setup):
    return [f"host-{number}.example.com" for number in range(1, setup.sites + 1)]


def sections(setup):
    return [f"/section-{number}/" for number in range(1, setup.routes + 1)]


# Every peer is given a port that was free a moment ago; somebody may have taken it since.
def on_free_port(start):
    for attempt in range(3):
        try:
            return start(free_port())
        except DidNotStart:
            if attempt == 2:
                raise
    return None


def headgate(stage, setup, name="headgate"):
    program = stage.against.get(name, stage.headgate)
    config = stage.path(name, "yaml")
    config.write_text(headgate_config(stage, setup))
    done = subprocess.run([program, "check", "-c", config], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()
        reasons = [re.fullmatch(r"\S+: not available yet: (\S+)", line) for line in said]
        if reasons and all(reasons):
            raise CannotDo("not available yet: " + ", ".join(sorted({one.group(1) for one in reasons})))
        raise SystemExit(f"{name} refuses its configuration:\n" + "\n".join(said[:20]))
    return Program(name, [program, "serve", "-c", config], cores(setup.workers)[0], stage.folder)


def headgate_config(stage, setup):
    action = f"static: {{ root: '{stage.folder}/files' }}" if setup.action == "static" else "proxy: origin"
    if setup.limits or setup.limit:
        action += ", rate_limit: [everybody]"
    if setup.gzip:
        action += ", compress: { encodings: [gzip], level: { gzip: 5 } }"
    lines = [
        f"workers: {setup.workers}",
        f'listeners: [{{ address: "127.0.0.1:0"{", tls: true" if setup.tls else ""} }}]',
        f"access_log: {{ format: combined, output: '{stage.path('headgate', 'access')}' }}" if setup.log else "access_log: { format: off }",
        f"admin: {{ listen: 'unix:{stage.path('admin', 'sock')}' }}",
        f"state_dir: '{stage.folder}/state'",
        "limits: { keepalive_timeout: 10m }",
        f'upstreams: {{ origin: {{ servers: ["127.0.0.1:{stage.origin.port}"], keepalive: {{ idle_connections: 1024 }} }} }}',
    ]
    if setup.tls:
        lines.append(f"tls: {{ certificates: [{{ cert: '{stage.folder}/cert.pem', key: '{stage.folder}/key.pem' }}] }}")
    if setup.limits:
        lines.append('metrics: { listen: "127.0.0.1:0" }')
    if setup.limits or setup.limit:
        store = "redis" if setup.limit == "redis" else "local"
        lines.append(f"rate_limits: {{ everybody: {{ key: $remote_addr, rate: 1000000/s, burst: 1000000, store: {store} }} }}")
    if setup.limit == "redis":
        lines.append(f'redis: {{ url: "redis://127.0.0.1:{stage.redis.port}/0" }}')
    lines.append("sites:")
    if setup.sites == 0:
        lines.append(f"  - routes: [{{ path: /*, {action} }}]")
    for host in hosts(setup):
        lines.append(f"  - hosts: [{host}]\n    routes:")
        lines += [f"      - {{ path: {prefix}*, {action} }}" for prefix in sections(setup)]
    return "\n".join(lines) + "\n"


def redis(stage):
    program = binary("redis-server")
    if not program:
        raise CannotDo("redis-server is not installed")

    def start(port):
        command = [program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", stage.folder]
        return Program("redis", command, stage.load_cores, stage.folder, port)

    return on_free_port(start)


def nginx(stage, setup):
    if setup.limit == "redis":
        raise CannotDo("counts in one process")
    program = binary("nginx")
    # From 1.25.1 on the protocol is a directive of its own.
    modern = tuple(int(part) for part in re.findall(r"\d+", version("nginx", program))[:3]) >= (1, 25, 1)
    config, folder = stage.path("nginx", "conf"), stage.folder

    def start(port):
        listen = f"listen 127.0.0.1:{port}" + (" ssl" if setup.tls else "") + (" http2" if setup.h2 and not modern else "") + \
            (" reuseport" if setup.workers > 1 else "") + ";" + (" http2 on;" if setup.h2 and modern else "")
        action = f"root {folder}/files;" if setup.action == "static" else "proxy_pass http://origin;"
        tls = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;" if setup.tls else ""
        if setup.sites == 0:
            servers = [f"server {{ {listen} {tls} location / {{ {action} }} }}"]
        else:
            locations = "\n".join(f"location {prefix} {{ {action} }}" for prefix in sections(setup))
            servers = [f"server {{ {listen} {tls} server_name {host};\n{locations} }}" for host in hosts(setup)]
        log = f"access_log {stage.path('nginx', 'access')} combined buffer=64k flush=1s;" if setup.log else "access_log off;"
        limit = "limit_req_zone $binary_remote_addr zone=everybody:10m rate=1000000r/s; limit_req zone=everybody burst=100000 nodelay;" \
            if setup.limits or setup.limit else ""
        # Unbuffered it would flush the encoder for each piece that comes; this is what it does best with.
        gzip = "gzip on; gzip_comp_level 5; gzip_types application/json; gzip_proxied any; gzip_min_length 1024; " \
            "proxy_buffering on;" if setup.gzip else "proxy_buffering off;"
        several = f"worker_processes {setup.workers}; worker_cpu_affinity auto;" if setup.workers > 1 else \
            "worker_processes 1; master_process off;"
        config.write_text(f"""
{several} daemon off; pid {config}.pid; error_log stderr; worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  types {{ text/plain txt; }}
  sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 100000000; reset_timedout_connection on;
  open_file_cache max=1000 inactive=60s; server_names_hash_max_size 8192; server_names_hash_bucket_size 128;
  {log} {limit} ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Request-Id $request_id;
  {gzip} proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
  upstream origin {{ server 127.0.0.1:{stage.origin.port}; keepalive 1024; keepalive_requests 100000000; }}
  {chr(10).join(servers)}
}}
""")
        return Program("nginx", [program, "-p", folder, "-e", "stderr", "-c", config], cores(setup.workers)[0], folder, port)

    return on_free_port(start)


def haproxy(stage, setup):
    if setup.action == "static":
        raise CannotDo("serves no files")
    if setup.sites:
        raise CannotDo("takes no part: one map stands for all routes")
    config, folder = stage.path("haproxy", "cfg"), stage.folder

    def start(port):
        tls = f" ssl crt {folder}/both.pem alpn {'h2,http/1.1' if setup.h2 else 'http/1.1'}" if setup.tls else ""
        # A ring in a mapped file is its cheapest log: no system call a line.
        ring = f"ring access\n  format raw\n  maxlen 2048\n  size 4194304\n  backing-file {stage.path('haproxy', 'access')}\n" \
            if setup.log else ""
        log = "log ring@access local0\n  option httplog" if setup.log else "no log"
        limit = "stick-table type ipv6 size 100k expire 30s store http_req_rate(1s)\n  http-request track-sc0 src\n" \
            "  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000000 }" if setup.limits else ""
        config.write_text(f"""
global
  nbthread {setup.workers}
  maxconn 4500
  tune.bufsize 65536
{ring}
defaults
  mode http
  timeout connect 3s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
  http-reuse always
  option splice-auto
  {log}
frontend clients
  bind 127.0.0.1:{port}{tls}
  {limit}
  unique-id-format %[rand(4294967295),hex]%[rand(4294967295),hex]
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto {"https" if setup.tls else "http"}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  option forwardfor
  default_backend origin
backend origin
  server one 127.0.0.1:{stage.origin.port} pool-max-conn 1024
""")
        return Program("haproxy", [binary("haproxy"), "-db", "-f", config], cores(setup.workers)[0], folder, port)

    return on_free_port(start)


def h2o(stage, setup):
    if setup.limits:
        raise CannotDo("has no rate limit")
    if setup.sites:
        raise CannotDo("takes no part")
    config, folder = stage.path("h2o", "conf"), stage.folder

    def start(port):
        tls = ""
        if setup.tls:
            # Its other process that keeps the key would cost a hop for each handshake.
            tls = f"\n  ssl: {{ certificate-file: {folder}/cert.pem, key-file: {folder}/key.pem, neverbleed: OFF }}"
        action = f"file.dir: {folder}/files" if setup.action == "static" else \
            f"proxy.reverse.url: http://127.0.0.1:{stage.origin.port}/\n        proxy.preserve-host: ON\n        proxy.timeout.keepalive: 60000"
        config.write_text(f"""
num-threads: {setup.workers}
max-connections: 8192
{"user: root" if os.geteuid() == 0 else ""}
pid-file: {config}.pid
http1-request-timeout: 600
http2-idle-timeout: 600
listen:
  host: 127.0.0.1
  port: {port}{tls}
hosts:
  default:
    paths:
      /:
        {action}
""")
        return Program("h2o", [binary("h2o"), "-m", "worker", "-c", config], cores(setup.workers)[0], folder, port)

    return on_free_port(start)


def relay(stage, setup, name):
    if setup != Setup():
        raise CannotDo("copies bytes, nothing else")
    command = stage.also[name].split() if name in stage.also else [stage.programs / name]
    return Program(name, [*command, 0, stage.origin.port], cores()[0], stage.folder)


def floor_server(stage):
    return Program(FLOOR_SERVER, [stage.programs / "origin", 0], cores()[0], stage.folder)


def start(name, stage, setup):
    """Starts one of them. Raises CannotDo."""
    if name == FLOOR_SERVER:
        return floor_server(stage)
    if name in RELAYS or name in stage.also:
        return relay(stage, setup, name)
    if name in PEERS:
        if not binary(name):
            raise CannotDo("not installed")
        return {"nginx": nginx, "haproxy": haproxy, "h2o": h2o}[name](stage, setup)
    return headgate(stage, setup, name)
