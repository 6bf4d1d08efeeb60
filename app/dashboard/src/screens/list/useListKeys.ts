/** Walking the list by keyboard. The browser's focus is the selection, so that Enter and Tab mean what they always do. */

import { type RefObject, useEffect, useRef } from "react";

import type { Tag } from "../../api/types";
import type { Shortcut } from "../../components/Shortcuts";
import { type ListState, nextPage, previousPage } from "../../lib/listState";

interface Options {
  list: RefObject<HTMLElement | null>;
  filters: RefObject<HTMLElement | null>;
  tags: Tag[];
  nextCursor: string | undefined;
  state: ListState;
  go: (next: ListState) => void;
  /** False while the last page is still shown in the place of the next one. */
  settled: boolean;
}

export function useListKeys({ list, filters, tags, nextCursor, state, go, settled }: Options): Shortcut[] {
  /** Which end of which page to focus, when it was reached by walking over the edge of another one. */
  const arriving = useRef<{ page: number; end: "first" | "last" } | null>(null);
  const restored = useRef(false);

  useEffect(() => {
    if (!settled || !tags.length) return;
    const expected = arriving.current;
    // The page that is being left may be drawn once more before the other one is there.
    if (expected && expected.page !== state.page) return;
    if (expected) focusOn(list.current, tags.at(expected.end === "last" ? -1 : 0)?.index);
    else if (!restored.current && state.at !== undefined) focusOn(list.current, state.at);
    arriving.current = null;
    restored.current = true;
  }, [tags, settled, list, state.at, state.page]);

  const turn = (next: ListState | undefined, end: "first" | "last") => {
    if (!next || !settled) return;
    arriving.current = { page: next.page, end };
    go(next);
  };
  const forth = () => {
    turn(nextCursor === undefined ? undefined : nextPage(state, nextCursor), "first");
  };
  const back = (end: "first" | "last") => {
    turn(previousPage(state), end);
  };
  const move = (step: number) => {
    const current = tags.findIndex(({ index }) => index === (focusedIn(list.current) ?? state.at));
    const target = current === -1 ? 0 : current + step;
    if (target < 0) back("last");
    else if (target >= tags.length && current === tags.length - 1) forth();
    else focusOn(list.current, tags[Math.min(target, tags.length - 1)]?.index);
  };
  const selected = () => focusedIn(list.current) ?? state.at ?? tags[0]?.index;
  const open = () => {
    itemOf(list.current, selected())?.click();
  };

  return [
    { keys: ["j", "ArrowRight"], does: "Next example", run: () => { move(1); } },
    { keys: ["k", "ArrowLeft"], does: "Previous example", run: () => { move(-1); } },
    { keys: ["ArrowDown"], does: "One line down", run: () => { move(columnsOf(list.current)); } },
    { keys: ["ArrowUp"], does: "One line up", run: () => { move(-columnsOf(list.current)); } },
    { keys: ["Enter", "o"], does: "Open the example", run: open },
    { keys: ["n"], does: "Next page", run: forth },
    { keys: ["p"], does: "Previous page", run: () => { back("first"); } },
    { keys: ["f"], does: "Go to the filters", run: () => filters.current?.querySelector<HTMLElement>(".facet-value, select")?.focus() },
    { keys: ["Escape"], does: "Back to the list from the filters", run: () => { focusOn(list.current, selected()); } },
  ];
}

/** Index of the item that has the focus. */
function focusedIn(list: HTMLElement | null): number | undefined {
  const focused = document.activeElement;
  if (!(focused instanceof HTMLElement) || !list?.contains(focused)) return undefined;
  return focused.dataset.index === undefined ? undefined : Number(focused.dataset.index);
}

function itemOf(list: HTMLElement | null, index: number | undefined): HTMLElement | null {
  return index === undefined ? null : (list?.querySelector<HTMLElement>(`[data-index="${index}"]`) ?? null);
}

function focusOn(list: HTMLElement | null, index: number | undefined): void {
  const item = itemOf(list, index);
  item?.focus({ preventScroll: true });
  item?.scrollIntoView({ block: "nearest" });
}

/** How many items stand in the first line. */
function columnsOf(list: HTMLElement | null): number {
  const items = [...(list?.querySelectorAll<HTMLElement>("[data-index]") ?? [])];
  const top = items[0]?.getBoundingClientRect().top;
  return Math.max(1, items.filter((item) => item.getBoundingClientRect().top === top).length);
}
