"""A database whose disk is full: the job says so at once, and the next one goes well when there is room again."""

from __future__ import annotations

from sqlalchemy import text

from tests.rows import FILL_DISK
from tests.worker_jobs.worlds import World


def test_a_training_ends_with_words_and_is_not_tried_for_minutes(busy_world: World) -> None:
    dataset = busy_world.digits()
    with busy_world.session() as session:
        session.execute(text(FILL_DISK.format(table="curve_blocks")))
    job = busy_world.wait_for(busy_world.train(dataset, num_epochs=1).job_id)
    assert (job.state, job.attempt) == ("failed", 1)
    assert "the database's disk is full: free space there" in str(job.error)
    with busy_world.session() as session:
        session.execute(text("DROP TRIGGER no_room ON curve_blocks"))
    busy_world.succeed(busy_world.train(dataset, num_epochs=1).job_id)
