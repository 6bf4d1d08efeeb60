/** How good the order of the list is: how far held-out wrong labels stand out in it, and how much of its top another training changes. */

import { Bar } from "../../components/marks";
import { count, share } from "../../lib/format";
import { intervalInWords, type OrderQuality as Found, separations, topListInWords } from "../../lib/reportParts";

export function OrderQuality({ found }: { found: Found }) {
  const rows = separations(found);
  return (
    <section className="panel order-quality" aria-label="The order of the list">
      <h2 className="panel-title">
        The order of the list <span className="muted">by the evidence of one run alone</span>
      </h2>
      {rows.length ? <Areas rows={rows} /> : null}
      <p className="muted small panel-note">
        {rows.length
          ? "The chance that a held-out probe with a wrong label stands above another one (area under the ROC curve). Some examples have wrong labels themselves, so that against them 100 % is not to be had. Real errors may be easier to tell than planted ones, or harder. "
          : null}
        {topListInWords(found.top_list)}
      </p>
    </section>
  );
}

function Areas({ rows }: { rows: ReturnType<typeof separations> }) {
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Wrong labels</th>
            <th scope="col">Held against</th>
            <th scope="col">Stand above</th>
            <th scope="col" className="number">
              90 % interval
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ run, wrong, against, area }) => (
            <tr key={`${run} ${wrong} ${against}`}>
              <th scope="row">{run}</th>
              <td>{wrong}</td>
              <td>
                {count(area.num)} {against}
              </td>
              <td>
                <span className="measure">
                  <Bar share={area.auroc} label={`${run}, against ${against}: ${share(area.auroc, 1)}`} />
                  <span className="number">{share(area.auroc, 1)}</span>
                </span>
              </td>
              <td className="number">{intervalInWords(area)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
