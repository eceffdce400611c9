"""Real foreign software for the tests: Java, ZooKeeper's server, Hadoop's shell. Nothing here needs
root or a system package.

`scripts/equipment.py` brings it; the session's first test that needs it builds it when it is not
there yet. Where it cannot be had, a test says why in one line and is skipped; under CI=true that is
a failure.
"""
