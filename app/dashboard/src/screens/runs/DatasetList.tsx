/** ① The data sets of the project. */

import type { Dataset } from "../../api/types";
import { count, plural, titleOf } from "../../lib/format";
import { modalityInWords } from "../../lib/training";
import { NothingYet } from "./EmptyProject";

export function DatasetList({ datasets }: { datasets: Dataset[] }) {
  if (!datasets.length) {
    return (
      <NothingYet>
        None yet. Add one: <code>sondage dataset add digits</code>
      </NothingYet>
    );
  }
  return (
    <ul className="rows">
      {datasets.map((dataset) => (
        <li key={dataset.id}>
          <div className="row-line">
            <strong>{titleOf(dataset)}</strong>
            <span className="muted push">{modalityInWords(dataset)}</span>
          </div>
          <p className="muted">
            {plural(dataset.num_examples, "example")} · {plural(dataset.class_names.length, "class", "classes")} ·{" "}
            {splitsInWords(dataset.splits)}
          </p>
        </li>
      ))}
    </ul>
  );
}

function splitsInWords(splits: Dataset["splits"]): string {
  const filled = Object.entries(splits).filter(([, size]) => size > 0);
  return filled.map(([name, size]) => `${name} ${count(size)}`).join(", ");
}
