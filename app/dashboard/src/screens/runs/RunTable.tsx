/** One line per run: where its training stands, and the way to what came of it. */

import { Fragment } from "react";
import { Link } from "react-router";

import { isOpen, useAbort, useJob, useProject } from "../../api/queries";
import type { Job, Run, Tagging } from "../../api/types";
import { messageOf } from "../../components/Problem";
import { StateBadge } from "../../components/marks";
import { ago } from "../../lib/format";
import { epochsInWords, isEarly } from "../../lib/tagging";
import { trainingInWords } from "../../lib/training";
import { JobProgress } from "./JobProgress";
import { TagNow } from "./TagNow";

interface Props {
  runs: Run[];
  jobs: Job[];
  taggings: Tagging[];
  datasetNames: Map<number, string>;
}

export function RunTable({ runs, jobs, taggings, datasetNames }: Props) {
  const jobOf = new Map(jobs.map((job) => [job.id, job]));
  return (
    <div className="scroll">
      <table className="runs">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Dataset</th>
            <th scope="col">State</th>
            <th scope="col">Epochs</th>
            <th scope="col">Started</th>
            <th scope="col">
              <span className="hidden">Results and actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => (
            <RunRow
              key={run.id}
              run={run}
              job={run.job_id ? jobOf.get(run.job_id) : undefined}
              tagging={taggings.find((tagging) => tagging.run_ids.includes(run.id) && isEarly(tagging) === isOpen(run))}
              dataset={datasetNames.get(run.dataset_id)}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  run: Run;
  job: Job | undefined;
  tagging: Tagging | undefined;
  dataset: string | undefined;
}

function RunRow({ run, job, tagging, dataset }: RowProps) {
  const failed = run.state === "failed";
  return (
    <Fragment>
      <tr className={failed ? "with-error" : undefined}>
        <th scope="row" className="run-name">
          {run.name}
          <span className="recipe">{trainingInWords(run)}</span>
        </th>
        <td>{dataset ?? `dataset ${run.dataset_id}`}</td>
        <td>
          <StateBadge state={job?.abort_requested && isOpen(run) ? "aborting" : run.state} />
        </td>
        <td className="progress-cell">
          <JobProgress done={run.epochs_done} total={run.num_epochs} unit="epoch" state={run.state} progress={job?.progress} />
        </td>
        <td className="muted">{ago(run.created_at)}</td>
        <td className="number">
          <div className="run-tools">
            <Result run={run} tagging={tagging} />
            {isOpen(run) ? <TagNow run={run} /> : null}
            {isOpen(run) ? <AbortButton run={run} job={job} /> : null}
          </div>
        </td>
      </tr>
      {failed ? <FailedRow run={run} job={job} /> : null}
    </Fragment>
  );
}

function Result({ run, tagging }: { run: Run; tagging: Tagging | undefined }) {
  const project = useProject();
  if (!tagging || (run.state !== "finished" && !isEarly(tagging))) return null;
  if (tagging.state !== "finished") return <span className="muted">tagging {tagging.state}</span>;
  return (
    <Link className="link" to={`/projects/${project}/taggings/${tagging.id}`} title={epochsInWords(tagging)}>
      {isEarly(tagging) ? "Labels so far" : "Suspicious labels"}
    </Link>
  );
}

function AbortButton({ run, job }: { run: Run; job: Job | undefined }) {
  const project = useProject();
  const abort = useAbort();
  if (!run.job_id && !run.recorded) return null;
  return (
    <>
      <button
        type="button"
        disabled={abort.isPending || job?.abort_requested}
        aria-label={run.recorded ? `Abort ${run.name}` : `Abort ${run.name}, seed ${run.seed}`}
        title={run.recorded ? "Ends the recording. The loop that trains goes on, and keeps in its spool what follows." : undefined}
        onClick={() => {
          abort.mutate({ params: { path: { project, run_id: run.id } } });
        }}
      >
        Abort
      </button>
      {abort.error ? <span role="alert">{messageOf(abort.error)}</span> : null}
    </>
  );
}

function FailedRow({ run, job }: { run: Run; job: Job | undefined }) {
  const older = useJob(run.job_id ?? 0, !job && Boolean(run.job_id));
  const error = (job ?? older.data)?.error;
  if (!error) return null;
  return (
    <tr className="error-row">
      <td colSpan={6}>
        <p className="job-error">{error}</p>
      </td>
    </tr>
  );
}
