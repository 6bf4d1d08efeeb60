"""The worker: takes jobs, reads sources, trains, records, tags. The only package that trains with torch."""
