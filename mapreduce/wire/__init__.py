"""The messages of the job engine on the wire: each is put on and taken off in one place."""
