/** To the next page, to the one before, and to the first. */

import { firstPage, type ListState, nextPage, previousPage } from "../../lib/listState";

interface Props {
  state: ListState;
  nextCursor: string | undefined;
  go: (next: ListState) => void;
}

export function Pager({ state, nextCursor, go }: Props) {
  const previous = previousPage(state);
  if (state.page === 0 && nextCursor === undefined) return null;
  const turn = (next: ListState) => {
    go(next);
    window.scrollTo({ top: 0 });
  };
  return (
    <nav className="pager" aria-label="Pages">
      <button type="button" className="quiet" disabled={state.page === 0} onClick={() => { turn({ ...state, ...firstPage }); }}>
        First
      </button>
      <button type="button" disabled={!previous} onClick={() => { if (previous) turn(previous); }}>
        ← Previous
      </button>
      <span className="muted">Page {state.page + 1}</span>
      <button
        type="button"
        disabled={nextCursor === undefined}
        onClick={() => { if (nextCursor !== undefined) turn(nextPage(state, nextCursor)); }}
      >
        Next →
      </button>
    </nav>
  );
}
