"""Code that the measurements of `serve` share: the app, Redis servers and clusters, and visitors."""

import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
# The permissions in lesson 7, and those that a cluster needs in addition.
ACL = "~sessiontut:* +hset +hincrby +hgetall +expire +del +multi +exec +pttl +hget +hdel +cluster|slots +asking"
SESSIONTUT = Path(os.environ.get("SESSIONTUT", TARGET / "release/sessiontut"))


class App:
    """A running `sessiontut serve`."""

    def __init__(self, url, *arguments):
        self.port = free_port()
        command = [SESSIONTUT, "serve", "--listen", f"127.0.0.1:{self.port}", "--ttl", "600", *arguments]
        self.process = subprocess.Popen(command, env=os.environ | {"REDIS_URL": url},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port)

    def figures(self):
        """Returns the number of open descriptors, and the memory and peak memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        megabytes = lambda name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024
        return len(os.listdir(f"/proc/{self.process.pid}/fd")), megabytes("VmRSS"), megabytes("VmHWM")

    def stop(self):
        """Stops the app as a service manager does, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)


class Visitor:
    """A browser with one session, which checks that every page shows its name and a plausible number of visits."""

    def __init__(self, port, name):
        self.port, self.name = port, name
        self.connection, self.cookie = None, None
        # The count on the last page, the number of requests since the login, and the number of pages since
        # the login.
        self.last, self.sent, self.served = 0, 0, 0

    def log_in(self):
        """Logs in, and returns the status of the response."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer, _ = self.ask("POST", "/login", f"username={self.name}", form)
        if answer.status == 303:
            self.cookie = answer.getheader("set-cookie").split(";")[0]
            self.last, self.sent, self.served = 0, 0, 0
        return answer.status

    def visit(self):
        """Opens the page. Returns `page STATUS`, or a description of what is wrong."""
        self.sent += 1
        answer, page = self.ask("GET", "/", None, {"Cookie": self.cookie})
        if answer.status == 503:
            return "page 503"
        if answer.status != 200:
            return f"wrong: page {answer.status}"
        if "You are not logged in" in page:
            return "wrong: logged out"
        if f"Logged in as {self.name}<" not in page:
            return "wrong: another visitor's name"
        visits = int(re.search(r"Visits: (\d+)", page)[1])
        if visits > self.sent:
            return "wrong: a visit counted twice"
        fell, self.last = visits <= self.last, visits
        self.served += 1
        return "the count fell" if fell else "page 200"

    def ask(self, method, path, body, headers):
        """Sends a request. If the server has closed the idle connection, repeats it on a new one, as browsers do."""
        for is_last in (self.connection is None, True):
            self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                self.connection.request(method, path, body, headers)
                answer = self.connection.getresponse()
                return answer, answer.read().decode()
            except (http.client.RemoteDisconnected, ConnectionError):
                self.close()
                if is_last:
                    raise
            except (OSError, http.client.HTTPException):
                self.close()
                raise

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Redis:
    """A redis-server that writes every change to its disk before it replies."""

    # The options of `serve` that this Redis needs.
    options = ()

    def __init__(self, folder, program="redis-server", *settings):
        self.folder, self.program, self.settings = folder, program, settings
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()
        wait_for_port(self.port)

    def start(self):
        command = [self.program, "--port", self.port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always", *self.settings]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Cluster:
    """Three primaries with one replica each."""

    def __init__(self, folder, program, with_tls, with_acl):
        self.folder, self.options = Path(folder), ()
        settings = ["cluster-enabled yes", "cluster-node-timeout 2000", 'save ""', "bind 127.0.0.1"]
        self.client, login = ["redis-cli", "-h", "127.0.0.1"], ""
        if with_tls:
            self.options = ("--ca", self.create_certificate())
            self.client += ["--tls", "--cacert", self.folder / "cert.pem"]
            settings += ["tls-replication yes", "tls-cluster yes", f"tls-cert-file {self.folder}/cert.pem",
                         f"tls-key-file {self.folder}/key.pem", f"tls-ca-cert-file {self.folder}/cert.pem"]
        if with_acl:
            # The default user has the permissions that replicas and this script need.
            login = "app:app-password@"
            self.client += ["--no-auth-warning", "-a", "operator-password"]
            settings += ["requirepass operator-password", "masterauth operator-password", f"user app on >app-password {ACL}"]
        self.nodes = {}
        for number in range(6):
            port, bus = free_port(), free_port()
            place = self.folder / str(port)
            place.mkdir()
            lines = settings + [f"dir {place}", f"cluster-port {bus}"]
            lines += [f"tls-port {port}", "port 0", "tls-auth-clients no"] if with_tls else [f"port {port}"]
            (place / "redis.conf").write_text("\n".join(lines) + "\n")
            self.nodes[port] = [program, place / "redis.conf"]
        self.processes = {}
        for port in self.nodes:
            self.start(port)
        nodes = [f"127.0.0.1:{port}" for port in self.nodes]
        self.ask(None, "--cluster", "create", *nodes, "--cluster-replicas", "1", "--cluster-yes")
        wait_for("the cluster", lambda: all("cluster_state:ok" in self.ask(port, "CLUSTER", "INFO") for port in self.nodes))
        scheme = "rediss" if with_tls else "redis"
        self.url = f"{scheme}://{login}127.0.0.1:{next(iter(self.nodes))}/0"
        self.failures = 0

    def start(self, port):
        self.processes[port] = subprocess.Popen(self.nodes[port], stdout=subprocess.DEVNULL)
        wait_for_port(port)

    def fail_over(self):
        """Kills a primary, waits until its replica is promoted, and restarts it. The URL contains the first primary."""
        primaries = [port for port in self.nodes if self.role(port) == "master"]
        victim = primaries[self.failures % len(primaries)]
        self.failures += 1
        self.processes[victim].kill()
        self.processes[victim].wait()
        alive = [port for port in self.nodes if port != victim]
        wait_for("a promotion", lambda: sum(self.role(port) == "master" for port in alive) == 3)
        # The restart runs in a thread, because the caller measures the recovery from the time of the
        # promotion.
        threading.Timer(8, self.start, [victim]).start()

    def role(self, port):
        return self.ask(port, "ROLE").split("\n")[0] if self.processes[port].poll() is None else "dead"

    def ask(self, port, *words):
        command = self.client + (["-p", str(port)] if port else []) + list(words)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def create_certificate(self):
        """Creates a certificate for 127.0.0.1 that is its own CA, and returns its path."""
        files = ["-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"]
        names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *names], check=True,
                       capture_output=True)
        return self.folder / "cert.pem"

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, is_done):
    for _ in range(300):
        if is_done():
            return
        time.sleep(0.1)
    raise SystemExit(f"waited for {what} in vain")


def wait_for_port(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"no server on port {port}")


def allow_many_sockets():
    """Raises the limit of open files for this process. The programs that it has started keep their limits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def report(seen):
    """Prints the measurements, and returns whether something was wrong."""
    for name, count in sorted(seen.items()):
        print(f"{name:40}{count:10}")
    return any(name.startswith("wrong") for name in seen)
