/** What to do when there is nothing yet. */

import type { ReactNode } from "react";

const STEPS = [
  { title: "Add a data set", command: "sondage dataset add digits", says: "A real one that ships with scikit-learn; or a .npz, .parquet or .csv file, or a folder of images." },
  { title: "Train with planted probes", command: "sondage run start digits", says: "Two short trainings record how the loss of every example falls." },
  { title: "Look at the worst labels", command: "sondage tags", says: "In the terminal, or here: the list appears when the runs have finished." },
];

export function EmptyProject({ project }: { project: string }) {
  return (
    <div className="empty">
      <title>{`${project} · Sondage`}</title>
      <h1>Nothing has been dug up yet</h1>
      <p className="muted">
        Three commands lead from a data set to its most suspicious labels. This page follows along by itself.
      </p>
      <ol className="steps">
        {STEPS.map(({ title, command, says }) => (
          <li key={command}>
            <h2>{title}</h2>
            <code className="command">{command}</code>
            <p className="muted">{says}</p>
          </li>
        ))}
      </ol>
    </div>
  );
}

export function NothingYet({ children }: { children: ReactNode }) {
  return <p className="muted panel-empty">{children}</p>;
}
