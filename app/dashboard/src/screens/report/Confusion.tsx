/** The confusion matrix: what the held-out probes are, and what they were taken for. */

import type { CSSProperties } from "react";

import { Dot } from "../../components/marks";
import { count, share } from "../../lib/format";
import type { Evaluation } from "../../lib/report";

export function Confusion({ names, evaluation, title = "Confusion matrix" }: { names: string[]; evaluation: Evaluation; title?: string }) {
  const { counts, shares } = evaluation;
  if (!counts) return null;
  return (
    <section className="panel" aria-label={title}>
      <h2 className="panel-title">{title}</h2>
      <div className="scroll">
        <table className="confusion">
          <caption className="muted">A line per true category, in shares of it; columns are the tags it was given.</caption>
          <thead>
            <tr>
              <th scope="col">
                <span className="hidden">True category</span>
              </th>
              {names.map((name) => (
                <th key={name} scope="col">
                  <Dot category={name} /> {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {names.map((name, row) => (
              <tr key={name}>
                <th scope="row">
                  <Dot category={name} /> {name}
                </th>
                {names.map((other, column) => (
                  <Cell key={other} count={counts[row]?.[column]} share={shares?.[row]?.[column]} right={row === column} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface CellProps {
  count: number | undefined;
  share: number | null | undefined;
  right: boolean;
}

function Cell({ count: number, share: part, right }: CellProps) {
  const style = { "--share": part ?? 0 } as CSSProperties;
  return (
    <td className={right ? "cell right" : "cell wrong"} style={style}>
      {share(part)}
      <small>{number === undefined ? "" : count(number)}</small>
    </td>
  );
}
