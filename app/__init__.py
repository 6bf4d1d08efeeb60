"""⑥ Serves: the REST interface and the dashboard. No torch."""
