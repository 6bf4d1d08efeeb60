/** Jobs that belong to no run: data sets being registered, and those that could not be. */

import { isOpen } from "../../api/queries";
import type { Job } from "../../api/types";
import { StateBadge } from "../../components/marks";
import { ago, isOlderThan } from "../../lib/format";
import { JobProgress } from "./JobProgress";

const KEPT_MS = 24 * 3600 * 1000;

export function OtherJobs({ jobs }: { jobs: Job[] }) {
  const shown = jobs.filter((job) => job.kind === "register" && (isOpen(job) || (job.state === "failed" && isRecent(job))));
  if (!shown.length) return null;
  return (
    <ul className="panel other-jobs" aria-label="Data sets being registered">
      {shown.map((job) => (
        <li key={job.id}>
          <span>{job.dataset_id && job.state !== "succeeded" ? `Adding inputs to dataset ${job.dataset_id}` : "Registering a data set"}</span>
          <StateBadge state={job.state} />
          {isOpen(job) ? <JobProgress {...amount(job)} state={job.state} progress={job.progress} /> : null}
          <span className="muted">{ago(job.created_at)}</span>
          {job.error ? <p className="job-error">{job.error}</p> : null}
        </li>
      ))}
    </ul>
  );
}

const isRecent = (job: Job): boolean => !isOlderThan(job.created_at, KEPT_MS);

function amount({ progress }: Job): { done: number; total: number; unit: string } {
  return { done: progress.done ?? 0, total: progress.total ?? 0, unit: progress.unit ?? "step" };
}
