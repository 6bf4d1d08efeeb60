/** Per given label how many are suspected and how they are tagged, the worst first; and what is taken for what. */

import { useState } from "react";
import { Link, useParams } from "react-router";

import { useProject } from "../../api/queries";
import { Bar, Dot } from "../../components/marks";
import { inOrder } from "../../lib/categories";
import { count, plural, share } from "../../lib/format";
import type { ClassRates, Pair, PerClass as Found } from "../../lib/reportParts";

const SHOWN = 10;

export function PerClass({ found }: { found: Found }) {
  const [all, setAll] = useState(false);
  const tags = inOrder(new Set(found.classes.flatMap((one) => Object.keys(one.tags))));
  const shown = all ? found.classes : found.classes.slice(0, SHOWN);
  return (
    <section className="panel" aria-label="Per class">
      <h2 className="panel-title">
        Per class <span className="muted">given labels with the most suspects first</span>
      </h2>
      <div className="scroll">
        <table className="per-class">
          <thead>
            <tr>
              <th scope="col">Given label</th>
              <th scope="col" className="number">
                Examples
              </th>
              <th scope="col">Suspects</th>
              {tags.map((name) => (
                <th key={name} scope="col" className="number">
                  <Dot category={name} /> {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((one, place) => (
              <Row key={one.label} one={one} tags={tags} leftOut={place === found.num_worst ? found.num_left_out : 0} />
            ))}
          </tbody>
        </table>
      </div>
      <div className="panel-note">
        {found.classes.length > SHOWN ? (
          <button type="button" aria-expanded={all} onClick={() => { setAll(!all); }}>
            {all ? `Only the ${SHOWN} worst` : buttonText(found)}
          </button>
        ) : null}
        <p className="muted small">
          A suspect has a suspicion above {found.suspect_above}. {plural(found.num_suspects, "suspect")} among {count(found.num_examples)} examples of{" "}
          {plural(found.num_classes, "class", "classes")}. Small classes stand further down: the lower end of a 90 % interval orders them.
        </p>
      </div>
    </section>
  );
}

const buttonText = ({ classes, num_worst, num_left_out }: Found): string =>
  num_left_out ? `Show the ${num_worst} worst and the ${classes.length - num_worst} best` : `Show all ${count(classes.length)}`;

function Row({ one, tags, leftOut }: { one: ClassRates; tags: string[]; leftOut: number }) {
  const list = `/projects/${useProject()}/taggings/${useParams().taggingId}`;
  return (
    <>
      {leftOut ? (
        <tr>
          <td colSpan={tags.length + 3} className="muted">
            … {plural(leftOut, "class", "classes")} between …
          </td>
        </tr>
      ) : null}
      <tr>
        <th scope="row">
          <Link to={`${list}?${new URLSearchParams({ label: one.name })}`}>{one.name}</Link>
        </th>
        <td className="number">{count(one.num_examples)}</td>
        <td>
          <span className="measure">
            <Bar share={one.share_suspects} label={`Suspects of ${one.name} ${share(one.share_suspects, 1)}`} category="noisy" />
            <span className="number">{share(one.share_suspects, 1)}</span>
          </span>
        </td>
        {tags.map((name) => (
          <td key={name} className="number">
            {share(one.tags[name] ?? 0)}
          </td>
        ))}
      </tr>
    </>
  );
}

export function Pairs({ pairs, numPairs }: { pairs: Pair[]; numPairs: number }) {
  const shown = pairs.slice(0, SHOWN);
  return (
    <section className="panel" aria-label="Taken for">
      <h2 className="panel-title">
        Taken for <span className="muted">given and suggested label of suspects</span>
      </h2>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Given</th>
              <th scope="col">Suggested</th>
              <th scope="col" className="number">
                Suspects
              </th>
              <th scope="col" className="number">
                The reverse
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((pair) => (
              <tr key={`${pair.given_name}→${pair.suggested_name}`}>
                <th scope="row">{pair.given_name}</th>
                <td className="suggested">{pair.suggested_name}</td>
                <td className="number">{count(pair.num)}</td>
                <td className="number">
                  {count(pair.num_reverse)}
                  {pair.one_way ? <span className="muted"> one way</span> : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small panel-note">
        {numPairs > shown.length ? `The ${shown.length} most frequent of ${count(numPairs)} pairs. ` : ""}
        One way: far more often than the reverse, as when one class is labelled as another by habit.
      </p>
    </section>
  );
}
