/** The list's state as a hook: read from the URL, changed by going to another one. */

import { useMemo } from "react";
import { useLocation, useSearchParams } from "react-router";

import { firstPage, listParams, type ListState, parseListState } from "./listState";

export interface ListNavigation {
  state: ListState;
  /** Goes to another page or order: a new entry in the browser's history. */
  go: (next: ListState) => void;
  /** A filter, an order or a view has changed, so the list starts from its first page. */
  restart: (change: Partial<ListState>) => void;
  /** Marks an example as selected, without a new entry in the history. */
  select: (index: number) => void;
}

export function useListState(): ListNavigation {
  const [params, setParams] = useSearchParams();
  const { pathname } = useLocation();
  const state = useMemo(() => parseListState(params), [params]);
  const go = (next: ListState) => {
    setParams(listParams(next));
  };
  return {
    state,
    go,
    restart: (change) => {
      go({ ...stateNow(), ...firstPage, ...change });
    },
    select: (index) => {
      const now = stateNow();
      // An example may be on its way to the screen already; its address is not the list's to change.
      if (index !== now.at && window.location.pathname === pathname) setParams(listParams({ ...now, at: index }), { replace: true });
    },
  };
}

/** What the URL says at this moment: keys can come faster than the screen is drawn again. */
const stateNow = (): ListState => parseListState(new URLSearchParams(window.location.search));
