"""The unmodified `hadoop fs` shell of Apache Hadoop 3.5, against any `hdfs://host:port`. About two
seconds a command.

shell = HadoopShell(tmp_path, "hdfs://127.0.0.1:8020")
assert shell.run("-ls", "/").returncode == 0
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from tests.equipment.java import SMALL, java
from tests.equipment.wheels import jars

SHELL_CLASS = "org.apache.hadoop.fs.FsShell"
JARS = (
    "hadoop-client-*",
    "slf4j-api*",
    "log4j-*",
    "commons-logging*",
    "jcl-over-slf4j*",
    "commons-codec*",
    "commons-collections*",
)
DEFAULTS = {
    "dfs.replication": "2",
    "ipc.client.connect.max.retries": "2",
    "ipc.client.connect.retry.interval": "200",
    "dfs.client.read.shortcircuit": "false",
}
LOG4J = """status = off
appender.err.type = Console
appender.err.name = err
appender.err.target = SYSTEM_ERR
appender.err.layout.type = PatternLayout
appender.err.layout.pattern = %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.err.ref = err
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
"""


class HadoopShell:
    """A configuration directory and the runner. `properties` go into its core-site.xml."""

    def __init__(
        self,
        directory: Path,
        uri: str,
        *,
        user: str = "",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.uri = uri
        self._conf = directory / "hadoop-conf"
        self._conf.mkdir(parents=True, exist_ok=True)
        values = {**DEFAULTS, **(properties or {}), "fs.defaultFS": uri}
        rows = "".join(
            f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
            for name, value in values.items()
        )
        (self._conf / "core-site.xml").write_text(
            f'<?xml version="1.0"?>\n<configuration>\n{rows}</configuration>\n'
        )
        (self._conf / "log4j2.properties").write_text(LOG4J)
        self._environment = {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            **({"HADOOP_USER_NAME": user} if user else {}),
        }

    def command(self, *arguments: str) -> list[str]:
        flags = (
            "-Dfile.encoding=UTF-8",
            "-Dsun.jnu.encoding=UTF-8",
            "-Djava.net.preferIPv4Stack=true",
        )
        return [
            str(java()),
            *SMALL,
            *flags,
            "-cp",
            f"{self._conf}:{jars(*JARS)}",
            SHELL_CLASS,
            *arguments,
        ]

    def run(
        self, *arguments: str, stdin: bytes = b"", timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[bytes]:
        """`hadoop fs ARGUMENTS…`; bytes, because what comes out is data."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            env=self._environment,
            check=False,
        )
