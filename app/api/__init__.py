"""⑥ The REST interface: one file per noun, all below `/api/v1`."""
