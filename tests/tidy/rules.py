"""The rules as tables: who may import whom, what is banned and what to use instead, and the
exceptions, which may only shrink."""

from __future__ import annotations

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60
MAX_FOLDER_MODULES = 14

LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    # (room, what it may import of ours). The first matching room counts; every room may import
    # itself and clusterkit.
    ("clusterkit", ()),
    ("coordinator", ()),
    ("minihdfs.namenode.core", ("minihdfs.model", "minihdfs.errors", "minihdfs.paths")),
    ("minihdfs.datanode.core", ("minihdfs.model", "minihdfs.errors")),
    ("minihdfs.namenode", ("minihdfs", "coordinator.api")),
    ("minihdfs.datanode", ("minihdfs",)),
    ("minihdfs.client", ("minihdfs", "coordinator.connect")),
    ("minihdfs", ("minihdfs",)),
    (
        "mapreduce.jobtracker.core",
        ("mapreduce.plan.spec", "mapreduce.exchange", "mapreduce.model", "mapreduce.errors"),
    ),
    (
        "mapreduce.worker.core",
        ("mapreduce.plan.spec", "mapreduce.exchange", "mapreduce.model", "mapreduce.errors"),
    ),
    ("mapreduce.storage.minihdfs", ("mapreduce.storage", "minihdfs")),
    ("mapreduce.storage", ("mapreduce.storage", "mapreduce.errors")),
    ("mapreduce.failures", ()),
    ("mapreduce.model", ()),
    ("mapreduce.exchange", ("mapreduce.model",)),
    (
        "mapreduce.wire",
        (
            "mapreduce.wire",
            "mapreduce.model",
            "mapreduce.exchange",
            "mapreduce.failures",
            "mapreduce.api.counters",
            "mapreduce.pb",
        ),
    ),
    ("mapreduce.api", ("mapreduce.api", "mapreduce.errors", "mapreduce.plan.spec")),
    (
        "mapreduce.engine",
        (
            "mapreduce.engine",
            "mapreduce.api",
            "mapreduce.formats",
            "mapreduce.plan",
            "mapreduce.storage",
            "mapreduce.errors",
            "mapreduce.failures",
            "mapreduce.model",
        ),
    ),
    (
        "mapreduce.formats",
        (
            "mapreduce.formats",
            "mapreduce.storage.api",
            "mapreduce.plan",
            "mapreduce.api",
            "mapreduce.errors",
        ),
    ),
    (
        "mapreduce.plan",
        (
            "mapreduce.plan",
            "mapreduce.api",
            "mapreduce.storage.api",
            "mapreduce.storage.manifest",
            "mapreduce.errors",
            "mapreduce.failures",
            "mapreduce.model",
            "mapreduce.formats.containers",
            "mapreduce.formats.registry",
        ),
    ),
    (
        "mapreduce.jobtracker",
        (
            "mapreduce.jobtracker",
            "mapreduce.plan",
            "mapreduce.storage",
            "mapreduce.wire",
            "mapreduce.pb",
            "mapreduce.errors",
            "mapreduce.exchange",
            "mapreduce.failures",
            "mapreduce.model",
            "coordinator.api",
        ),
    ),
    ("mapreduce.worker", ("mapreduce",)),
    ("mapreduce.runners", ("mapreduce", "coordinator.connect")),
    ("mapreduce", ("mapreduce",)),
    ("mrc", ("coordinator", "minihdfs", "mapreduce")),
)

FORBIDDEN_PAIRS: tuple[tuple[str, str, str], ...] = (
    # (room, must not import, why)
    ("minihdfs.namenode", "minihdfs.datanode", "namenode and datanode meet on the wire only"),
    ("minihdfs.namenode", "minihdfs.client", "a server does not depend on the client"),
    ("minihdfs.client", "minihdfs.namenode", "the client meets the namenode on the wire only"),
    ("minihdfs.client", "minihdfs.datanode", "the client meets datanodes on the wire only"),
    ("minihdfs.datanode", "minihdfs.namenode", "namenode and datanode meet on the wire only"),
    (
        "minihdfs.namenode.core.tree.namespace",
        "minihdfs.namenode.core.blocks",
        "the namesystem joins them by id",
    ),
    (
        "minihdfs.namenode.core.blocks.blocks",
        "minihdfs.namenode.core.tree",
        "the namesystem joins them by id",
    ),
    ("mapreduce.jobtracker", "mapreduce.worker", "tracker and worker meet on the wire only"),
    ("mapreduce.worker", "mapreduce.jobtracker", "tracker and worker meet on the wire only"),
    ("mapreduce.worker", "mapreduce.runners", "runners stand above services"),
)

CORES = (
    "minihdfs.namenode.core",
    "minihdfs.datanode.core",
    "mapreduce.jobtracker.core",
    "mapreduce.worker.core",
)
# fmt: off
CORE_MAY_IMPORT = frozenset({
    "__future__", "abc", "base64", "bisect", "collections", "copy", "dataclasses", "datetime",
    "enum", "fnmatch", "functools", "hashlib", "heapq", "itertools", "json", "math", "operator",
    "posixpath", "random", "re", "string", "struct", "types", "typing", "zlib",
})
# fmt: on
CORE_MAY_IMPORT_OURS = ("clusterkit.effects", "clusterkit.errors", "clusterkit.records")

NO_GRPC = (
    "minihdfs.client",
    "mapreduce.engine",
    "mapreduce.formats",
    "mapreduce.storage",
    "mapreduce.api",
    "mapreduce.plan",
)
"""Loaded by task processes, which start in ten milliseconds because they never import gRPC."""

DAEMONS = ("clusterkit", "coordinator", "minihdfs", "mapreduce.jobtracker")
UNPICKLERS = {"pickle", "cloudpickle", "shelve", "dill", "marshal"}

BANNED_CALLS: dict[str, str] = {
    "hash": "a stable hash of the key's encoding (mapreduce.engine.partition): hash() differs "
    "between processes",
    "os.system": "subprocess with a list of arguments",
    "os.popen": "subprocess with a list of arguments",
    "eval": "a parser",
    "uuid.uuid1": "uuid.uuid4 in a shell: uuid1 tells the machine",
}
BANNED_IMPORTS: dict[str, str] = {
    "kazoo.recipe.lock": "coordinator.backends.zookeeper's own recipe (docs/ARCHITECTURE.md, "
    "Coordinator)",
    "kazoo.recipe.election": "coordinator.backends.zookeeper's own recipe",
    "kazoo.recipe.lease": "coordinator.backends.zookeeper's own recipe",
    "multiprocessing": "mapreduce.worker's warm server, or subprocess",
    "asyncio": "one selector loop or threads: a second concurrency model is one too many",
    "requests": "nothing here speaks HTTP as a client",
}
GRPC_ROOM = ("clusterkit.rpc",)
"""The only modules that touch `grpc` itself; stubs do so by nature."""

FORK_ROOMS = ("mapreduce.worker", "mapreduce.runners.local", "mrc")
"""Where a process may be forked: before gRPC is up, each with the reason in its docstring."""

BANNED_NAMES = ("util", "utils", "helper", "helpers", "manager", "misc", "common")

LONG_FILES: dict[str, str] = {
    "minihdfs/wire/data_transfer.py": "packets and operations are two nouns (R9)",
    "minihdfs/datanode/files/block_store.py": "keeps file work only once the core owns states (R6)",
}
LONG_FUNCTIONS: dict[str, str] = {}
FULL_FOLDERS: dict[str, int] = {
    "clusterkit": 23,
    "mapreduce/engine": 19,
    "mapreduce/jobtracker/core": 16,
    "mapreduce/worker": 15,
    "minihdfs/client": 15,
}
"""Folders that hold more than MAX_FOLDER_MODULES, with how many: they may only shrink."""
CYCLES: frozenset[str] = frozenset()
