/** Where an example stands in the list it was opened from, and what stands before and after it. */

import { PAGE_SIZE, useFacets, useTagPage } from "../../api/queries";
import type { Tagging } from "../../api/types";
import { type ListState, nextPage, previousPage } from "../../lib/listState";

export interface Step {
  index: number;
  /** The list's state there: on another page where the step crosses its edge. */
  list: ListState;
}

interface Place {
  /** 1-based; undefined where the example is not on the page that the URL names. */
  number: number | undefined;
  total: number | undefined;
  previous: Step | undefined;
  next: Step | undefined;
}

export function usePlaceInList(tagging: Tagging, list: ListState, index: number): Place {
  const page = useTagPage(tagging, list);
  const items = page.isPlaceholderData ? [] : (page.data?.items ?? []);
  const at = items.findIndex((tag) => tag.index === index);
  const isLast = at !== -1 && at === items.length - 1;
  const cursor = page.data?.next_cursor;
  const after = isLast && cursor ? nextPage(list, cursor) : undefined;
  const before = at === 0 ? previousPage(list) : undefined;
  const following = useEdge(tagging, after, "first");
  const preceding = useEdge(tagging, before, "last");
  const total = useFacets(tagging, list).data?.count;

  const inside = (tag: { index: number } | undefined): Step | undefined => tag && { index: tag.index, list };
  if (at === -1) return { number: undefined, total, previous: undefined, next: undefined };
  return {
    number: list.page * PAGE_SIZE + at + 1,
    total,
    previous: at > 0 ? inside(items[at - 1]) : preceding,
    next: isLast ? following : inside(items[at + 1]),
  };
}

/** The first or the last example of a neighbouring page. */
function useEdge(tagging: Tagging, list: ListState | undefined, end: "first" | "last"): Step | undefined {
  const page = useTagPage(tagging, list ?? EMPTY, list !== undefined);
  if (!list || page.isPlaceholderData || !page.data) return undefined;
  const tag = page.data.items.at(end === "first" ? 0 : -1);
  return tag && { index: tag.index, list };
}

const EMPTY: ListState = {
  tag: undefined,
  label: undefined,
  minSuspicion: undefined,
  inAllSeeds: undefined,
  threshold: undefined,
  orderBy: "suspicion",
  cursors: [],
  page: 0,
  view: undefined,
  at: undefined,
};
