"""Configuration: read once, typed, cross-checked. TOML file < environment < flags, each value
remembered with where it came from.

A `Config` class is a msgspec Struct of sections, which are Structs of scalars. The environment
names a value `MRC_SECTION__KEY`, a flag `section.key=value`. Unknown keys are refused with the
nearest known one.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from clusterkit.errors import UsageError
from clusterkit.listening import listen

C = TypeVar("C", bound=msgspec.Struct)
ENVIRONMENT_PREFIX = "MRC_"


def load(
    kind: type[C], *, file: Path | None, environment: Mapping[str, str], flags: Sequence[str] = ()
) -> tuple[C, dict[str, str]]:
    """The configuration and, for each value that is not a default, its origin. Raises UsageError
    naming file, key and cause."""
    tree: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    if file is not None and file.exists():
        for section, values in _parse(file).items():
            if not isinstance(values, dict):
                raise UsageError(
                    f"{file}: `{section}` stands outside of a section", next_command=f"vi {file}"
                )
            for key, value in values.items():
                _put(kind, tree, origins, section, key, value, str(file))
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            if not environment[name]:
                raise UsageError(
                    f"the environment's {name} is set and empty", next_command=f"unset {name}"
                )
            section, _, key = name[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
            _put(kind, tree, origins, section, key, environment[name], f"environment {name}")
    for flag in flags:
        dotted, equals, value = flag.partition("=")
        section, dot, key = dotted.partition(".")
        if not equals or not dot:
            raise UsageError(f"--set {flag!r} is not SECTION.KEY=VALUE")
        _put(kind, tree, origins, section, key, value, f"--set {dotted}")
    try:
        return msgspec.convert(tree, kind, strict=False), origins
    except msgspec.ValidationError as error:
        cause, _, where = str(error).rstrip("`").partition(" - at `$.")
        raise UsageError(
            f"{where or 'configuration'}: {cause} (from {origins.get(where, 'defaults')})"
        ) from error


def check_listen_host(host: str, security_mode: str) -> None:
    """Refuses to listen beyond loopback unless the configuration says in words that the network is
    private."""
    if security_mode not in ("loopback", "private-network"):
        raise UsageError(
            f'security.mode = "{security_mode}" is not known: use "loopback" or "private-network"'
        )
    if security_mode == "loopback" and not is_loopback(host):
        raise UsageError(
            f"refusing to listen on {host}: it is reachable from other machines and nothing here "
            "asks who is calling",
            next_command='set security.mode = "private-network" only on a network that strangers '
            "cannot reach",
        )


def check_reachable(key: str, host: str, *, here: bool) -> None:
    """Refuses what is no address or name, and, `here`, where nothing on this machine could
    listen."""
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?", host) and not _is_ipv6(host):
        raise UsageError(f"{key} = {host!a} is no address or name of a machine")
    if here:
        try:
            listen(host, 0).close()
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            raise UsageError(
                f'{key} = "{host}": nothing can listen there: {cause}', next_command="ip address"
            ) from error


def _is_ipv6(host: str) -> bool:
    """Without brackets, which belong around it where a port follows, and without a zone, which
    names another thing on every machine."""
    try:
        return isinstance(ipaddress.ip_address(host), ipaddress.IPv6Address) and "%" not in host
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # a mark that editors leave
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}", next_command=f"vi {file}") from error


def _put(
    kind: type[C],
    tree: dict[str, dict[str, Any]],
    origins: dict[str, str],
    section: str,
    key: str,
    value: Any,
    origin: str,
) -> None:
    sections = {f.name: f.type for f in msgspec.structs.fields(kind)}
    if section not in sections:
        raise UsageError(f"{origin}: no section `{section}`{_nearest(section, sections)}")
    keys = [f.name for f in msgspec.structs.fields(sections[section])]
    if key not in keys:
        raise UsageError(f"{origin}: no key `{section}.{key}`{_nearest(key, keys)}")
    tree.setdefault(section, {})[key] = value
    origins[f"{section}.{key}"] = origin


def _nearest(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean `{found[0]}`?" if found else f"; known: {', '.join(known)}"
