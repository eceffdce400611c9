"""The roots: the `mrc` command line, the one-machine cluster. The only package that knows all the
others."""
