"""More real servers: a broker, and Redis as a cluster and behind a sentinel."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis
from certificate import self_signed
from databases import DATABASES, ROOT, USERS, Database
from databases import Redis as RedisServer
from rabbitmq import Rabbit, free_port
from redis.sentinel import Sentinel


class RabbitMq(Database):
    """RabbitMQ; refused logins are counted in its log."""

    kind = engine = "rabbitmq"

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="secretcache-rabbitmq-")
        self.certificate, key = self_signed(Path(self._folder.name))
        self._rabbit = Rabbit(Path(self._folder.name), (self.certificate, key))
        self.host, self.port = "127.0.0.1", self._rabbit.amqp_port
        self.tls_port = self._rabbit.amqps_port
        for user in USERS:
            self.create_user(user)
        example = (
            (ROOT / "docs" / "targets-by-http.md").read_text().split("# rabbitmq.toml\n")[1].split("```")[0]
        )
        statements = Path(self._folder.name) / "rabbitmq.toml"
        interface = f"http://127.0.0.1:{self._rabbit.port}"
        statements.write_text(example.replace("https://rabbit.shop.example", interface))
        self.how_to_rotate = ("--no-tls", "--statements", str(statements))

    def __exit__(self, *_: Any) -> None:
        self._rabbit.close()
        self._folder.cleanup()

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        assert also is None, "RabbitMQ has one password per user"
        status, answer = self._rabbit.request("PUT", f"users/{user}", {"password": password, "tags": ""})
        assert status in (201, 204), answer

    def create_user(self, user: str) -> None:
        self.set_password(user, "not yet")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._rabbit.request("PUT", f"permissions/%2F/{user}", everything)

    def log_in(self, user: str, password: str) -> None:
        _, answer = self._rabbit.request("GET", "whoami", user=f"{user}:{password}")
        assert "Not management user" in str(answer), answer

    def refused(self) -> int:
        # The log is delayed: count up to a mark that is written now.
        mark = uuid.uuid4().hex
        self._rabbit.status(mark, "nobody")
        until(lambda: mark in self._rabbit.log.read_text())
        return self._rabbit.log.read_text().count("PLAIN login refused")

    def sessions(self, user: str) -> int:
        return len(self._connections(user))

    def unacknowledged(self) -> int:
        """Count the messages that the broker delivered to a consumer and will redeliver if that consumer is gone."""
        _, queues = self._rabbit.request("GET", "queues?disable_stats=true&enable_queue_totals=true")
        return sum(queue["messages_unacknowledged"] for queue in queues)

    def end_sessions(self, user: str) -> None:
        for connection in self._connections(user):
            self._rabbit.request(
                "DELETE", f"connections/{connection.replace(' ', '%20').replace('>', '%3E')}"
            )

    def _connections(self, user: str) -> list[str]:
        _, connections = self._rabbit.request("GET", f"connections/username/{user}")
        return [each["name"] for each in connections if "name" in each]

    @property
    def administrator(self) -> dict[str, str]:
        return {"username": "admin", "password": "admin-1-Password"}


class Nodes(RedisServer):
    """Several Redis servers with the same users. Subclasses combine them."""

    options: tuple[str, ...] = ()
    count = 3

    def __init__(self) -> None:
        self.host, self._admin, self._admin_password = "127.0.0.1", "admin", "admin-1-Password"
        self._stack = ExitStack()
        self._folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="secretcache-redis-"))
        )
        self.certificate, self._key = self_signed(self._folder)
        self.ports = [self._start(*self.options) for _ in range(self.count)]
        self.nodes = [self._administrator_of(port) for port in self.ports]
        self.port, self._client = self.ports[0], self.nodes[0]
        for user in USERS:
            self.create_user(user)

    def _start(self, *options: str) -> int:
        """Start a server, and wait until it answers."""
        port = free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        who = f"user {self._admin} on >{self._admin_password} ~* &* +@all\n"
        (folder / "users.acl").write_text(f"user default off\n{who}")
        own = [
            f"{port}",
            "--bind",
            self.host,
            "--save",
            "",
            "--dir",
            str(folder),
            "--aclfile",
            f"{folder}/users.acl",
        ]
        return self._serve(port, ["redis-server", "--port", *own, *options], folder)

    def _serve(self, port: int, command: list[str], folder: Path) -> int:
        process = subprocess.Popen(command, stdout=(folder / "out").open("w"), stderr=subprocess.STDOUT)
        self._stack.callback(lambda: (process.terminate(), process.wait()))
        until(lambda: _listens((self.host, port)) or process.poll() is not None)
        assert process.poll() is None, (folder / "out").read_text()
        return port

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def set_password(self, user: str, password: str, *, also: str | None = None) -> None:
        for node in self.nodes:
            self._client = node
            super().set_password(user, password, also=also)

    def sessions(self, user: str) -> int:
        return sum(client["user"] == user for node in self.nodes for client in node.client_list())

    def unacknowledged(self) -> int:
        return sum(node.hlen("unacked") for node in self.nodes)

    def end_sessions(self, user: str) -> None:
        for node in self.nodes:
            self._client = node
            super().end_sessions(user)

    def log_in(self, user: str, password: str) -> None:
        for port in self.ports:
            with redis.Redis(host=self.host, port=port, username=user, password=password) as client:
                client.ping()

    def refused(self) -> int:
        infos = [node.info("errorstats") for node in self.nodes]
        return sum(int(info.get("errorstat_WRONGPASS", {}).get("count", 0)) for info in infos)


class Cluster(Nodes):
    """A cluster of three nodes."""

    kind = engine = "redis-cluster"
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")

    def __init__(self) -> None:
        self._buses = dict[int, int]()
        super().__init__()
        bounds = (0, 5461, 10923, 16384)
        # A node accepts an epoch only while it knows no other node.
        for epoch, (node, first, end) in enumerate(zip(self.nodes, bounds, bounds[1:], strict=False), 1):
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node in self.nodes:
            for port, bus in self._buses.items():
                node.execute_command("CLUSTER", "MEET", self.host, port, bus)
        until(lambda: all(node.cluster("info")["cluster_state"] == "ok" for node in self.nodes))
        until(lambda: all(len(node.cluster("nodes")) == 3 for node in self.nodes))

    def _start(self, *options: str) -> int:
        bus = free_port()
        port = super()._start(*options, "--cluster-port", str(bus))
        self._buses[port] = bus
        return port


class OverTls(Nodes):
    """One server that programs connect to over TLS."""

    kind = engine = "redis-tls"
    count = 1

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        for name in ("cert", "ca-cert"):
            self._client.config_set(f"tls-{name}-file", str(self.certificate))
        self._client.config_set("tls-key-file", str(self._key))
        self._client.config_set("tls-auth-clients", "no")
        self._client.config_set("tls-port", self.port)


FAILOVER_TIMEOUT = 5
"""Seconds after which a sentinel gives up an attempt; by default three minutes."""


class Sentinels(Nodes):
    """A server, two replicas and a sentinel, which programs connect to first."""

    kind = engine = "redis-sentinel"

    def __init__(self) -> None:
        super().__init__()
        for node in self.nodes:
            node.config_set("repl-diskless-sync-delay", 0)
            node.config_set("masteruser", self._admin)
            node.config_set("masterauth", self._admin_password)
        for node in self.nodes[1:]:
            node.replicaof(self.host, self.port)
        until(lambda: self.nodes[0].info("replication")["connected_slaves"] == 2)
        port = free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        lines = (
            f"port {port}",
            f"bind {self.host}",
            f"sentinel monitor shop {self.host} {self.port} 1",
            f"sentinel auth-user shop {self._admin}",
            f"sentinel auth-pass shop {self._admin_password}",
            "sentinel down-after-milliseconds shop 60000",
            f"sentinel failover-timeout shop {FAILOVER_TIMEOUT * 1000}",
        )
        (folder / "sentinel.conf").write_text("\n".join(lines))
        self._serve(port, ["redis-server", str(folder / "sentinel.conf"), "--sentinel"], folder)
        self.sentinel = Sentinel([(self.host, port)])
        # By default, the sentinel polls every ten seconds.
        self.sentinel.sentinels[0].execute_command("SENTINEL", "DEBUG", "info-period", 100)
        self.port = port
        until(lambda: len(self.sentinel.discover_slaves("shop")) == 2)

    def fail_over(self) -> None:
        """Fail over to another server, and wait for it. Failed attempts are repeated."""
        former = self.sentinel.discover_master("shop")
        attempts = 6
        for attempt in range(1, attempts + 1):
            until(self._begins)
            try:
                until(lambda: self.sentinel.discover_master("shop") != former, 2 * FAILOVER_TIMEOUT)
            except AssertionError:
                if attempt == attempts:
                    raise
            else:
                return

    def _begins(self) -> bool:
        try:
            return bool(self.sentinel.sentinels[0].sentinel_failover("shop"))
        except redis.ResponseError as error:
            # The sentinel does not know a replica yet, or the previous attempt has not ended.
            assert "NOGOODSLAVE" in str(error) or "INPROG" in str(error), error
            return False


def _listens(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)


SERVERS: dict[str, type[Database]] = DATABASES | {
    each.kind: each for each in (RabbitMq, Cluster, OverTls, Sentinels)
}
"""All servers that rotations are tested with."""
