/** How often two trainings tag an example differently, and how much of that the draw of the probes explains. */

import { Bar, Dot } from "../../components/marks";
import { inOrder } from "../../lib/categories";
import { count, share } from "../../lib/format";
import type { Stability as Found } from "../../lib/reportParts";

export function Stability({ found }: { found: Found }) {
  return (
    <section className="panel" aria-label="Between seeds">
      <h2 className="panel-title">
        Between seeds <span className="muted">tags by the votes of one run alone</span>
      </h2>
      {found.flip_rate === null ? null : <Rates found={found} />}
      <p className="muted small panel-note">{inWords(found)}</p>
    </section>
  );
}

function Rates({ found }: { found: Found }) {
  const rows = inOrder(Object.keys(found.by_category)).map((name) => [name, found.by_category[name]] as const);
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Tag in one run</th>
            <th scope="col">Another one in the other</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, rate]) => (
            <tr key={name}>
              <th scope="row">
                <Dot category={name} /> {name}
              </th>
              <Rate value={rate} label={`Flips of ${name}`} category={name} />
            </tr>
          ))}
          <tr>
            <th scope="row">All</th>
            <Rate value={found.flip_rate} label="Flips of all" />
          </tr>
        </tbody>
      </table>
    </div>
  );
}

function Rate({ value, label, category }: { value: number | null | undefined; label: string; category?: string }) {
  return (
    <td>
      <span className="measure">
        <Bar share={value ?? 0} label={`${label} ${share(value)}`} {...(category ? { category } : {})} />
        <span className="number">{share(value)}</span>
      </span>
    </td>
  );
}

function inWords({ flip_rate, num_examples, from_probes, by_chance, exchanges }: Found): string {
  const said: string[] = [];
  if (flip_rate === null) said.push("One run: how often another training would give another tag is not known.");
  else said.push(`Of ${count(num_examples)} examples that two runs trained, ${share(flip_rate, 1)} have another tag in the other run.`);
  if (from_probes !== null) said.push(`To be expected from another draw of probes alone: ${share(from_probes, 1)}.`);
  if (by_chance !== null) said.push(`If runs knew nothing of each other: ${share(by_chance, 1)}.`);
  const most = exchanges[0];
  if (most) said.push(`Most often exchanged: ${most.categories.join(" and ")} (${share(most.share)} of the flips).`);
  return said.join(" ");
}
