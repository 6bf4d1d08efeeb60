/** Above the list: how much is shown, in which order, and as what. */

import { useScores } from "../../api/queries";
import type { Tagging } from "../../api/types";
import { scoreMeaning } from "../../lib/categories";
import { capital, words } from "../../lib/format";
import type { ListState } from "../../lib/listState";
import { ExportMenu } from "./ExportMenu";

interface Props {
  tagging: Tagging;
  state: ListState;
  restart: (change: Partial<ListState>) => void;
  go: (next: ListState) => void;
  view: "grid" | "table";
  places: string;
}

export function Toolbar({ tagging, state, restart, go, view, places }: Props) {
  const orders = useOrders(tagging, state.orderBy);
  return (
    <div className="toolbar">
      <span className="places" role="status">
        {places}
      </span>
      <label className="order">
        <span className="muted">Worst first by</span>
        <select
          value={state.orderBy}
          title={scoreMeaning(state.orderBy)}
          onChange={({ target }) => {
            restart({ orderBy: target.value });
          }}
        >
          {orders.map((order) => (
            <option key={order} value={order} title={scoreMeaning(order)}>
              {order === "aum" ? "AUM" : capital(words(order))}
            </option>
          ))}
        </select>
      </label>
      <div className="segmented" role="group" aria-label="View">
        {(["grid", "table"] as const).map((choice) => (
          <button
            key={choice}
            type="button"
            aria-pressed={view === choice}
            onClick={() => {
              go({ ...state, view: choice });
            }}
          >
            {capital(choice)}
          </button>
        ))}
      </div>
      <ExportMenu tagging={tagging} state={state} />
    </div>
  );
}

/** Suspicion, the scores of this tagging's runs, and the order that the URL names. */
function useOrders(tagging: Tagging, current: string): string[] {
  const scores = useScores(tagging.dataset_id).data?.items ?? [];
  const ofTheseRuns = scores.filter(({ run_ids }) => run_ids.some((id) => tagging.run_ids.includes(id)));
  return [...new Set(["suspicion", ...ofTheseRuns.map(({ method }) => method), "index", current])];
}
