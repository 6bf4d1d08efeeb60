"""③ What recorders send, read and checked: bodies, datasets without inputs, blocks, probes, files of records."""
