"""Starts `secretcache local` for a test, the demo or a measurement, and counts the requests it gets."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Endpoint:
    """A Secrets Manager endpoint on a free loopback port, stopped at the end of the `with` block."""

    def __init__(self, profile: str = "debug", *options: str) -> None:
        self.profile = profile
        command = ROOT / "target" / profile / "secretcache"
        if not command.exists():
            raise RuntimeError(f"{command} is missing; `make test` and `make demo` build it")
        # A file, not a pipe: the endpoint logs a request before it answers, so the count is always exact.
        self._log = tempfile.NamedTemporaryFile("a")  # noqa: SIM115
        self._forgotten: Counter[str] = Counter()
        self._process = subprocess.Popen(
            [command, "local", "--port", "0", "--verbose", *options], stdout=self._log
        )
        self.url = self._wait_for_url()

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point any AWS client to this endpoint, with dummy credentials."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_PAGER": "",
        }

    def client(self) -> Any:
        """Return a boto3 client for it, independent of the environment."""
        import boto3  # measurements of other languages run without boto3

        return boto3.client(
            "secretsmanager",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def requests(self) -> Counter[str]:
        """Count the requests so far, by operation."""
        return self._requests() - self._forgotten

    def forget_requests(self) -> None:
        """Count from zero again."""
        self._forgotten = self._requests()

    def log(self) -> list[str]:
        """Return the lines that it has printed so far."""
        return self._logged().splitlines()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _requests(self) -> Counter[str]:
        """Count the requests in the log. Each has a line with time, account, Region, operation and more."""
        return Counter(line.split()[3] for line in self.log() if line[:1].isdigit())

    def _logged(self) -> str:
        return Path(self._log.name).read_text()

    def _wait_for_url(self) -> str:
        deadline = time.monotonic() + 10
        while "://" not in (logged := self._logged()) or "\n" not in logged:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"the endpoint did not start: {logged!r}")
            time.sleep(0.01)
        return next(word for word in logged.split() if word.startswith("http"))
