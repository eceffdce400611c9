"""Finding a container engine, the images, and a compose project of the test's own.

What a test makes it takes away: containers, networks and volumes. Images stay, tagged `…:test`:
they are the next run's build cache.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.equipment.until import until
from tests.equipment.wheels import ROOT, cannot

SOURCES = ("clusterkit", "coordinator", "minihdfs", "mapreduce", "mrc", "examples", "deploy")
CERTIFICATES = Path("/usr/local/share/ca-certificates")
HEALTHY_LIMIT_S = 180.0


def docker(
    *arguments: str, timeout_s: float = 60.0, check: bool = True
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.strip()}"
    return done


def require_engine() -> list[str]:
    """The compose command. Skips, or fails in CI, with one line."""
    if shutil.which("docker") is None:
        cannot("no container test: docker is not installed")
    done = docker("info", "--format", "{{.ServerVersion}}", check=False)
    if done.returncode != 0 or not done.stdout.strip():
        cannot("no container test: no container engine answers this user")
    if docker("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    cannot("no container test: neither `docker compose` nor docker-compose is installed")


def base_image() -> str:
    """The official image where it is here or can be pulled, else one made by deploy/base-image."""
    official = "python:3.11-slim-bookworm"
    if docker("image", "inspect", official, check=False).returncode == 0:
        return official
    made = subprocess.run(
        [ROOT / "deploy/base-image"], capture_output=True, text=True, timeout=600, check=False
    )
    if made.returncode == 0:
        return made.stdout.strip()
    if docker("pull", "-q", official, timeout_s=300, check=False).returncode == 0:
        return official
    cannot(
        f"no container test: {made.stderr.strip().splitlines()[-2].removeprefix('error: ')}; and "
        f"{official} cannot be pulled"
    )


class ComposeCluster:
    """deploy/compose.yaml as a project of its own, on free ports, built from a copy of this
    tree."""

    def __init__(self, directory: Path) -> None:
        self._compose_command = require_engine()
        self._tree = directory / "tree"
        self.project = f"mrctest{secrets.token_hex(4)}"
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "MRC_BASE_IMAGE": base_image(),
            "MRC_IMAGE": "mrcluster:test",
            "MRC_ZOOKEEPER_IMAGE": "mrcluster-zookeeper:test",
            "MRC_HEALTH_INTERVAL": "1s",
            "MRC_NAMENODE_PORT": "0",
            "MRC_TRACKER_PORT": "0",
            "MRC_ZOOKEEPER_PORT": "0",
        }
        self._copy_tree()

    def _copy_tree(self) -> None:
        """This machine's own authorities go into the build context: its proxy may sign with
        them."""
        for name in SOURCES:
            shutil.copytree(
                ROOT / name,
                self._tree / name,
                ignore=shutil.ignore_patterns("__pycache__", "*.crt"),
            )
        for name in ("pyproject.toml", "README.md", ".dockerignore"):
            shutil.copy(ROOT / name, self._tree / name)
        for certificate in CERTIFICATES.glob("*.crt") if CERTIFICATES.is_dir() else ():
            shutil.copy(certificate, self._tree / "deploy/ca")

    def compose(
        self, *arguments: str, timeout_s: float = 120.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        command = [
            *self._compose_command,
            "-f",
            str(self._tree / "deploy/compose.yaml"),
            *arguments,
        ]
        done = subprocess.run(
            command,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"compose {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
        return done

    def build(self) -> None:
        """Images of earlier trees are not left behind untagged."""
        before = {
            tag: self._image_id(tag) for tag in ("mrcluster:test", "mrcluster-zookeeper:test")
        }
        self.compose("build", "zookeeper", "namenode", timeout_s=800)
        for tag, image in before.items():
            if image and image != self._image_id(tag):
                docker("rmi", image, check=False)

    @staticmethod
    def _image_id(tag: str) -> str:
        return docker("image", "inspect", "--format", "{{.Id}}", tag, check=False).stdout.strip()

    def up(self, **scale: int) -> None:
        """Returns when every container is healthy."""
        scales = [
            word for service, number in scale.items() for word in ("--scale", f"{service}={number}")
        ]
        self.compose("up", "-d", *scales, timeout_s=HEALTHY_LIMIT_S + 60)
        until(self._all_healthy, f"every container of {self.project} is healthy", HEALTHY_LIMIT_S)

    def _all_healthy(self) -> bool:
        states = [self.inspect(container)["State"] for container in self.containers()]
        return bool(states) and all(
            state.get("Health", {}).get("Status") == "healthy" for state in states
        )

    def containers(self, service: str = "") -> list[str]:
        """Ids of the running ones."""
        wanted = ["--filter", f"label=com.docker.compose.service={service}"] if service else []
        own = ["--filter", f"label=com.docker.compose.project={self.project}"]
        return docker("ps", "-q", "--no-trunc", *own, *wanted).stdout.split()

    def inspect(self, container: str) -> dict[str, Any]:
        [found] = json.loads(docker("inspect", container).stdout)
        return dict(found)

    def published(self, service: str, port: int) -> str:
        """host:port on this machine."""
        bindings = self.inspect(self.containers(service)[0])["NetworkSettings"]["Ports"][
            f"{port}/tcp"
        ]
        assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]
        return f"127.0.0.1:{bindings[0]['HostPort']}"

    def client(self, *command: str, mount: Path | None = None, timeout_s: float = 120.0) -> str:
        """Standard output of a command in a client container of its own, as a user would run it.
        (`--no-deps`: compose would start again what the test killed.)"""
        mounts = ["-v", f"{mount}:/here:ro"] if mount else []
        return self.compose(
            "run", "--rm", "--no-deps", "-T", *mounts, "client", *command, timeout_s=timeout_s
        ).stdout

    def mrc_json(self, *arguments: str) -> Any:
        """A quick question: asked in the tracker's container."""
        return json.loads(
            docker("exec", self.containers("tracker")[0], "mrc", *arguments, "-o", "json").stdout
        )

    def down(self, *, volumes: bool) -> None:
        self.compose(
            "down",
            "--remove-orphans",
            "-t",
            "5",
            *(["-v"] if volumes else []),
            timeout_s=120,
            check=False,
        )

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--tail=25", check=False).stdout


def host_environment(zookeeper_address: str) -> Mapping[str, str]:
    """For this machine's own `mrc`."""
    return {**os.environ, "MRC_CLUSTER": f"zk://{zookeeper_address}/mrc", "HADOOP_USER_NAME": "mrc"}
