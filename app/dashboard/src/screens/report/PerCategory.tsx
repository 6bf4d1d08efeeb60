/** Precision and recall of each category on the held-out probes, and how many probes there are. */

import { Bar, Dot } from "../../components/marks";
import { meaningOf } from "../../lib/categories";
import { count, share } from "../../lib/format";
import type { Evaluation, Report, RunReport } from "../../lib/report";

interface Props {
  categories: Report["categories"];
  evaluation: Evaluation;
  runs: RunReport[];
}

export function PerCategory({ categories, evaluation, runs }: Props) {
  return (
    <section className="panel" aria-label="Per category">
      <h2 className="panel-title">Per category</h2>
      <div className="scroll">
        <table className="per-category">
          <thead>
            <tr>
              <th scope="col">Category</th>
              <th scope="col">Label is wrong</th>
              <th scope="col">Precision</th>
              <th scope="col">Recall</th>
              <th scope="col" className="number">
                Fit
              </th>
              <th scope="col" className="number">
                Held out
              </th>
            </tr>
          </thead>
          <tbody>
            {categories.map(({ name, wrongLabel }) => (
              <tr key={name}>
                <th scope="row" title={meaningOf(name)}>
                  <Dot category={name} /> {name}
                </th>
                <td className="muted">{wrongLabel === null ? "n/a" : wrongLabel === undefined ? "–" : wrongLabel ? "yes" : "no"}</td>
                <Measure name={`Precision of ${name}`} value={evaluation.precision[name]} category={name} />
                <Measure name={`Recall of ${name}`} value={evaluation.recall[name]} category={name} />
                <td className="number">{probes(runs, name, "fit")}</td>
                <td className="number">{probes(runs, name, "held_out")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Measure({ name, value, category }: { name: string; value: number | null | undefined; category: string }) {
  if (value === null || value === undefined) return <td className="muted">–</td>;
  return (
    <td>
      <span className="measure">
        <Bar share={value} label={`${name} ${share(value)}`} category={category} />
        <span className="number">{share(value)}</span>
      </span>
    </td>
  );
}

function probes(runs: RunReport[], category: string, role: "fit" | "held_out"): string {
  const numbers = runs.map(({ numProbes }) => numProbes[category]?.[role]).filter((number) => number !== undefined);
  return numbers.length ? count(numbers.reduce((sum, number) => sum + number, 0)) : "–";
}
