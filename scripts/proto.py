"""Makes the committed stubs from protos/: `make proto`.

Uses a virtual environment of its own, so that a pinned generator never meets the project's
libraries.

python scripts/proto.py             write <package>/pb/*_pb2*.py
python scripts/proto.py --check     write to a scratch directory and compare; exit 1 when stale
"""

from __future__ import annotations

import argparse
import filecmp
import pathlib
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
GENERATOR = "grpcio-tools==1.76.0"  # gencode 6.31: loads on protobuf >= 6.31.1 and on 7.x


def generator() -> pathlib.Path:
    home = ROOT / ".venv-proto"
    python = home / "bin/python"
    stamp = home / GENERATOR
    if not stamp.exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run(
            [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                GENERATOR,
                "setuptools<81",
            ],
            check=True,
        )
        stamp.touch()
    return python


def generate(target: pathlib.Path) -> list[pathlib.Path]:
    sources = sorted((ROOT / "protos").rglob("*.proto"))
    command = [
        generator(),
        "-m",
        "grpc_tools.protoc",
        f"-I{ROOT / 'protos'}",
        f"--python_out={target}",
        f"--pyi_out={target}",
    ]
    with_services = [s for s in sources if "\nservice " in s.read_text()]
    subprocess.run([*command, *sources], check=True)
    if with_services:
        subprocess.run([*command[:4], f"--grpc_python_out={target}", *with_services], check=True)
    return sorted(target.rglob("*_pb2*.py*")) if target != ROOT else []


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(pathlib.Path(scratch))
        stale = [
            p.relative_to(scratch)
            for p in fresh
            if not (ROOT / p.relative_to(scratch)).exists()
            or not filecmp.cmp(p, ROOT / p.relative_to(scratch), False)
        ]
    for path in stale:
        sys.stderr.write(f"stale: {path}: run `make proto`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
