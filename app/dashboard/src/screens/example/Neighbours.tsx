/** ④ The nearest probes: what they are, how far, and on hover their curves. */

import type { Neighbour } from "../../api/types";
import { ExampleInput } from "../../components/ExampleInput";
import { CategoryChip } from "../../components/marks";
import { decimal } from "../../lib/format";

interface Props {
  neighbours: Neighbour[];
  hovered: Neighbour | null;
  hover: (neighbour: Neighbour | null) => void;
}

const classOf = (neighbour: Neighbour, hovered: Neighbour | null): string =>
  ["neighbour", neighbour === hovered ? "current" : "", neighbour.picture_url ? "" : "stacked"].filter(Boolean).join(" ");

export function Neighbours({ neighbours, hovered, hover }: Props) {
  if (!neighbours.length) return null;
  const leave = () => {
    hover(null);
  };
  return (
    <div className="neighbours">
      <h3>Nearest probes, by the distance of their loss curves</h3>
      <ol>
        {neighbours.map((neighbour) => {
          const { probe, distance } = neighbour;
          const enter = () => {
            hover(neighbour);
          };
          return (
            <li key={probe.row}>
              <button
                type="button"
                className={classOf(neighbour, hovered)}
                aria-label={`Probe ${probe.row}: ${probe.category}, label ${probe.label_name ?? "unknown"}, distance ${decimal(distance)}`}
                onMouseEnter={enter}
                onMouseLeave={leave}
                onFocus={enter}
                onBlur={leave}
              >
                <ExampleInput shown={neighbour} alt={`Probe ${probe.row}`} size="small" />
                <span className="neighbour-facts">
                  <CategoryChip category={probe.category} />
                  <span className="muted">
                    {probe.source_row === null ? "your own · " : ""}
                    {probe.label_name ? `label ${probe.label_name} · ` : ""}
                    {decimal(distance)} away
                  </span>
                </span>
              </button>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
