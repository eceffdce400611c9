"""The embedded coordinator's decisions: sessions, candidates, epochs, members, settings. A core: no
clock, no thread, no disk."""
