/** ③ Which class the model predicted in each epoch, under the epochs of the chart. */

import type { Tag } from "../../api/types";
import { plural } from "../../lib/format";
import { stretches } from "../../lib/stretches";
import { MARGIN } from "./chartMargins";

const CHARACTER_PX = 7.5;

export function PredictedStrip({ predicted, tag, width }: { predicted: (string | null)[]; tag: Tag; width: number }) {
  const perEpoch = (width - MARGIN.marginLeft - MARGIN.marginRight) / Math.max(predicted.length, 1);
  const margins = { paddingLeft: MARGIN.marginLeft, paddingRight: MARGIN.marginRight };
  return (
    <div className="strip" style={margins}>
      <div className="strip-title muted">
        Predicted class <span className="strip-key given">given</span>
        {tag.suggested_label_name ? <span className="strip-key suggested">suggested</span> : null}
      </div>
      <ol aria-label={inWords(predicted)}>
        {stretches(predicted).map(({ name, start, length }) => (
          <li
            key={start}
            className={kindOf(name, tag)}
            style={{ flexGrow: length }}
            title={`${length > 1 ? `Epochs ${start + 1}–${start + length}` : `Epoch ${start + 1}`}: ${name ?? "not seen"}`}
          >
            {name && name.length * CHARACTER_PX + 2 <= perEpoch * length ? name : null}
          </li>
        ))}
      </ol>
    </div>
  );
}

function kindOf(name: string | null, tag: Tag): string {
  if (name === null) return "unseen";
  if (name === tag.label_name) return "given";
  return name === tag.suggested_label_name ? "suggested" : "other";
}

function inWords(predicted: (string | null)[]): string {
  const times = new Map<string, number>();
  for (const name of predicted) if (name !== null) times.set(name, (times.get(name) ?? 0) + 1);
  const sorted = [...times].sort(([, a], [, b]) => b - a).slice(0, 3);
  return `Predicted ${sorted.map(([name, number]) => `${name} in ${plural(number, "epoch")}`).join(", ")}`;
}
