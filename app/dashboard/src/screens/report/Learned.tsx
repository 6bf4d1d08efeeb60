/** In which epoch the probes of each category were first learned, and from which they stayed so. */

import { Dot } from "../../components/marks";
import { inline, share } from "../../lib/format";
import type { Quartiles, RunReport } from "../../lib/report";

export function Learned({ run, names }: { run: RunReport; names: string[] }) {
  const shown = names.filter((name) => run.learned[name]);
  if (!shown.length) return null;
  return (
    <section className="panel" aria-label={`When learned, ${run.name}`}>
      <h2 className="panel-title">
        When learned <span className="muted">{run.name}</span>
      </h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Category</th>
              <th scope="col">First learned in epoch</th>
              <th scope="col">Stays learned from</th>
              <th scope="col" className="number">
                Never learned
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((name) => (
              <tr key={name}>
                <th scope="row">
                  <Dot category={name} /> {name}
                </th>
                <td>
                  <Epochs quartiles={run.learned[name]?.first} />
                </td>
                <td>
                  <Epochs quartiles={run.learned[name]?.stays} />
                </td>
                <td className="number">{share(run.learned[name]?.first?.share_never)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small panel-note">Median (and the middle half) of the probes that were learned. Epochs count from 1.</p>
    </section>
  );
}

/** The report counts epochs from 0, the screens from 1. */
function Epochs({ quartiles }: { quartiles: Quartiles | undefined }) {
  const { q25, median, q75 } = quartiles ?? {};
  if (typeof median !== "number") return <span className="muted">–</span>;
  const middle = typeof q25 === "number" && typeof q75 === "number" ? ` (${inline(q25 + 1)}–${inline(q75 + 1)})` : "";
  return (
    <>
      {inline(median + 1)}
      <span className="muted">{middle}</span>
    </>
  );
}
