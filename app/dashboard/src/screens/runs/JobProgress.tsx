/** How far a job is: a bar, and while it runs its speed and the time left. */

import type { Job, Run } from "../../api/types";
import { count, duration } from "../../lib/format";

interface Props {
  done: number;
  total: number;
  unit: string;
  state: Job["state"] | Run["state"];
  progress: Job["progress"] | undefined;
}

export function JobProgress({ done, total, unit, state, progress }: Props) {
  const running = state === "running";
  const speed = running ? progress?.examples_per_second : null;
  const left = running ? progress?.seconds_left : null;
  const within = running && progress?.unit === `${unit}s` && progress.done ? Math.max(done, progress.done) : done;
  return (
    <div className="job-progress">
      <progress value={within} max={Math.max(total, 1)} aria-label={`${unit} ${done} of ${total}`} className={running ? "open" : ""} />
      <span className="job-count">
        {count(done)}/{count(total)}
      </span>
      <span className="muted job-speed">
        {[speed && `${count(speed)} examples/s`, left && `${duration(left)} left`].filter(Boolean).join(" · ")}
      </span>
    </div>
  );
}
