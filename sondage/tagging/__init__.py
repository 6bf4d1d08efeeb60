"""⑤ Tagging: from curves and probes to a tag, a suspicion and a report."""
