"""Who leads (with an epoch), who is alive, what the settings are. Backends are siblings behind
`coordinator.api`."""
