"""CRC-32C, where the engine's neighbours look for it."""

from __future__ import annotations

from clusterkit.checksum import crc32c as crc32c
