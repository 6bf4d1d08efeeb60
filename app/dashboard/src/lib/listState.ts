/** The suspicious list's state, all of it in the URL: filters, sort, page, view and the selected example. */

export interface ListState {
  tag: string | undefined;
  label: string | undefined;
  minSuspicion: number | undefined;
  /** The same tag in all seeds, or not in all. */
  inAllSeeds: boolean | undefined;
  /** Of P(wrong), for a tag that says so; the tagging's own where there is none. */
  threshold: number | undefined;
  orderBy: string;
  /** One cursor per page that was walked through; the last one opens the current page. Empty on the first page. */
  cursors: string[];
  /** 0-based number of the current page. */
  page: number;
  view: "grid" | "table" | undefined;
  /** Index of the selected example. */
  at: number | undefined;
}

/** So many pages can be walked back; the URL stays short whatever the length of the list. */
export const MAX_CURSORS = 20;
const LIST_KEYS = ["tag", "label", "min_suspicion", "in_all_seeds", "threshold", "order_by", "cursor", "page", "view", "at"];

export function parseListState(params: URLSearchParams): ListState {
  const cursors = params.getAll("cursor");
  const view = params.get("view");
  return {
    tag: params.get("tag") ?? undefined,
    label: params.get("label") ?? undefined,
    minSuspicion: numberOf(params.get("min_suspicion")),
    inAllSeeds: booleanOf(params.get("in_all_seeds")),
    threshold: chanceOf(params.get("threshold")),
    orderBy: params.get("order_by") ?? "suspicion",
    cursors,
    page: cursors.length ? (numberOf(params.get("page")) ?? cursors.length) : 0,
    view: view === "grid" || view === "table" ? view : undefined,
    at: numberOf(params.get("at")),
  };
}

export function listParams(state: ListState): URLSearchParams {
  const params = new URLSearchParams();
  if (state.tag !== undefined) params.set("tag", state.tag);
  if (state.label !== undefined) params.set("label", state.label);
  if (state.minSuspicion !== undefined) params.set("min_suspicion", String(state.minSuspicion));
  if (state.inAllSeeds !== undefined) params.set("in_all_seeds", String(state.inAllSeeds));
  if (state.threshold !== undefined) params.set("threshold", String(state.threshold));
  if (state.orderBy !== "suspicion") params.set("order_by", state.orderBy);
  for (const cursor of state.cursors) params.append("cursor", cursor);
  if (state.page > 0) params.set("page", String(state.page));
  if (state.view !== undefined) params.set("view", state.view);
  if (state.at !== undefined) params.set("at", String(state.at));
  return params;
}

export const noFilters = { tag: undefined, label: undefined, minSuspicion: undefined, inAllSeeds: undefined };

/** The threshold moves tags and leaves no example out. */
export const isFiltered = (state: ListState): boolean => Object.keys(filtersOf({ ...state, threshold: undefined })).length > 0;

/** The filters and the threshold of tags as the API names them. */
export function filtersOf(state: ListState): { tag?: string; label?: string; min_suspicion?: number; in_all_seeds?: boolean; threshold?: number } {
  return {
    ...(state.tag !== undefined && { tag: state.tag }),
    ...(state.label !== undefined && { label: state.label }),
    ...(state.minSuspicion !== undefined && { min_suspicion: state.minSuspicion }),
    ...(state.inAllSeeds !== undefined && { in_all_seeds: state.inAllSeeds }),
    ...(state.threshold !== undefined && { threshold: state.threshold }),
  };
}

export const firstPage = { cursors: [], page: 0, at: undefined };

export function nextPage(state: ListState, cursor: string): ListState {
  const cursors = [...state.cursors, cursor].slice(-MAX_CURSORS);
  return { ...state, cursors, page: state.page + 1, at: undefined };
}

/** Undefined on the first page, and where the way back is no longer known. */
export function previousPage(state: ListState): ListState | undefined {
  if (state.page === 0) return undefined;
  const cursors = state.cursors.slice(0, -1);
  if (cursors.length === 0 && state.page > 1) return undefined;
  return { ...state, cursors, page: state.page - 1, at: undefined };
}

/** Takes what belongs to the list out of the parameters of another screen; what is left stays as it is. */
export function withoutListState(params: URLSearchParams): URLSearchParams {
  const rest = new URLSearchParams(params);
  for (const key of LIST_KEYS) rest.delete(key);
  return rest;
}

const booleanOf = (text: string | null): boolean | undefined => (text === "true" ? true : text === "false" ? false : undefined);

function chanceOf(text: string | null): number | undefined {
  const number = numberOf(text);
  return number !== undefined && number >= 0 && number <= 1 ? number : undefined;
}

function numberOf(text: string | null): number | undefined {
  if (text === null || text.trim() === "") return undefined;
  const number = Number(text);
  return Number.isFinite(number) ? number : undefined;
}
