/** ⑤ The taggings, each with the way to its list and its report. */

import { Link } from "react-router";

import { useProject } from "../../api/queries";
import type { Job, Run, Tagging } from "../../api/types";
import { StateBadge } from "../../components/marks";
import { ago } from "../../lib/format";
import { epochsInWords, heldOutInWords } from "../../lib/tagging";
import { runsInWords } from "../../lib/training";
import { NothingYet } from "./EmptyProject";

interface Props {
  taggings: Tagging[];
  runs: Run[];
  jobs: Job[];
  datasetNames: Map<number, string>;
}

export function TaggingList({ taggings, runs, jobs, datasetNames }: Props) {
  const project = useProject();
  if (!taggings.length) return <NothingYet>None yet: one is made when the runs have finished.</NothingYet>;
  return (
    <ul className="rows">
      {taggings.map((tagging) => {
        const to = `/projects/${project}/taggings/${tagging.id}`;
        const error = jobs.find(({ id }) => id === tagging.job_id)?.error;
        return (
          <li key={tagging.id}>
            <div className="row-line">
              <strong>{datasetNames.get(tagging.dataset_id) ?? `Dataset ${tagging.dataset_id}`}</strong>
              {tagging.state === "finished" ? null : <StateBadge state={tagging.state} />}
              <span className="muted push">{ago(tagging.created_at)}</span>
            </div>
            <p className="muted">
              {[`#${tagging.id}`, lookedAt(tagging, runs), epochsInWords(tagging), heldOutInWords(tagging)].filter(Boolean).join(" · ")}
            </p>
            {error ? <p className="job-error">{error}</p> : null}
            {tagging.state === "finished" ? (
              <p className="row-links">
                <Link className="link" to={to}>
                  Suspicious labels
                </Link>
                <Link className="link" to={`${to}/report`}>
                  Report
                </Link>
              </p>
            ) : null}
          </li>
        );
      })}
    </ul>
  );
}

function lookedAt({ run_ids }: Tagging, runs: Run[]): string {
  const known = runs.filter(({ id }) => run_ids.includes(id));
  return known.length ? runsInWords(known) : `runs ${run_ids.join(", ")}`;
}
