"""The cluster of deploy/compose.yaml on a real container engine. Without an engine or a base image:
one line says why it did not run."""
