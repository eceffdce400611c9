"""The distributed file system: namenode, datanodes, client. Speaks HDFS's own wire
(docs/wire.md)."""
