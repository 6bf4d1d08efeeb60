"""④ Probes: suites of examples whose nature is known, how they are made, planted and chosen."""
