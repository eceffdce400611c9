"""A worker: runs a tracker's tasks in processes of their own and serves map outputs. It never loads
a user's code itself."""
