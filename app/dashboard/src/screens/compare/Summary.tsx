/** Two taggings in numbers: how alike they are, which tags changed into which, and their top lists. */

import type { CSSProperties } from "react";

import type { Comparison } from "../../api/types";
import { Dot } from "../../components/marks";
import { count, decimal, share } from "../../lib/format";

export function Alike({ found }: { found: Comparison }) {
  const facts: [string, string][] = [
    ["Examples", count(found.num_examples)],
    ["The same tag", share(found.num_examples ? found.num_same / found.num_examples : null, 1)],
    ["Other tags", count(found.num_examples - found.num_same)],
    ["Rank correlation", decimal(found.rank_correlation)],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface MatrixProps {
  found: Comparison;
  chosen: { tag: string | null; other: string | null };
  choose: (tag: string | undefined, other: string | undefined) => void;
}

export function Matrix({ found, chosen, choose }: MatrixProps) {
  return (
    <section className="panel" aria-label="Changed tags">
      <h2 className="panel-title">Changed tags</h2>
      <div className="scroll">
        <table className="confusion">
          <caption className="muted">
            A line per tag in tagging {found.tagging_id}; columns are the tags in tagging {found.other_id}. Choose a number to see its examples.
          </caption>
          <thead>
            <tr>
              <th scope="col">
                <span className="hidden">Tag in tagging {found.tagging_id}</span>
              </th>
              {found.other_tags.map((name) => (
                <th key={name} scope="col">
                  <Dot category={name} /> {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {found.tags.map((name, row) => (
              <tr key={name}>
                <th scope="row">
                  <Dot category={name} /> {name}
                </th>
                {found.other_tags.map((other, column) => (
                  <Cell
                    key={other}
                    number={found.counts[row]?.[column] ?? 0}
                    whole={sum(found.counts[row])}
                    same={name === other}
                    names={`${name} to ${other}`}
                    pressed={chosen.tag === name && chosen.other === other}
                    press={(pressed) => { choose(pressed ? name : undefined, pressed ? other : undefined); }}
                  />
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
  number: number;
  whole: number;
  same: boolean;
  names: string;
  pressed: boolean;
  press: (pressed: boolean) => void;
}

function Cell({ number, whole, same, names, pressed, press }: CellProps) {
  const style = { "--share": whole ? number / whole : 0 } as CSSProperties;
  return (
    <td className={same ? "cell right" : "cell wrong"} style={style}>
      <button type="button" className="cell-button" aria-pressed={pressed} aria-label={`${names}: ${count(number)}`} disabled={!number} onClick={() => { press(!pressed); }}>
        {count(number)}
      </button>
    </td>
  );
}

export function Tops({ found }: { found: Comparison }) {
  if (!found.overlaps.length) return null;
  return (
    <section className="panel" aria-label="Top lists">
      <h2 className="panel-title">The top of both lists</h2>
      <table>
        <thead>
          <tr>
            <th scope="col" className="number">First</th>
            <th scope="col" className="number">In both</th>
            <th scope="col" className="number">Share</th>
            <th scope="col" className="number">By chance</th>
          </tr>
        </thead>
        <tbody>
          {found.overlaps.map(({ n, num_common, expected }) => (
            <tr key={n}>
              <td className="number">{count(n)}</td>
              <td className="number">{count(num_common)}</td>
              <td className="number">{share(num_common / n)}</td>
              <td className="number muted">{share(expected / n)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const sum = (row: number[] | undefined): number => (row ?? []).reduce((total, value) => total + value, 0);
