"""Reads a web server's log (Common Log Format) and tells per hour: requests, bytes sent, errors.

    mrc run examples/log_stats.py access.log hours
    mrc submit examples/log_stats.py --only-path /api /logs/2026 /hours

Logs hold whatever clients sent, so records are taken as bytes and never decoded. Lines that are no
log line are counted, not fatal: look at the counter with `mrc job counters @`.
"""

import re
from datetime import UTC, datetime

from mapreduce import Job

LINE = re.compile(rb'\S+ \S+ \S+ \[([^\]]+)\] "\S+ (\S*)[^"]*" (\d{3}) (\d+|-)')


class LogStats(Job):
    """Requests, bytes and errors by hour (UTC)."""

    only_path: str = ""  # count only what begins with this
    reducers = 1  # one sorted file

    def setup(self):
        self.wanted = self.only_path.encode()

    def map(self, line: bytes):
        found = LINE.match(line)
        if not found:
            self.counter("not a log line").inc()
            return
        moment, path, status, size = found.groups()
        if path.startswith(self.wanted):
            yield hour_of(moment), (1, int(size) if size != b"-" else 0, status >= b"500")

    def reduce(self, hour, seen):
        requests, sent, errors = map(sum, zip(*seen, strict=True))
        yield hour.isoformat(), f"{requests} requests\t{sent} bytes\t{errors} errors"

    def combine(self, hour, seen):
        yield hour, tuple(map(sum, zip(*seen, strict=True)))


def hour_of(moment):
    """b'10/Oct/2026:13:55:36 -0700' -> the hour in UTC: an aware datetime is a key like any
    other."""
    local = datetime.strptime(moment.decode("ascii", "replace"), "%d/%b/%Y:%H:%M:%S %z")
    return local.astimezone(UTC).replace(minute=0, second=0)
