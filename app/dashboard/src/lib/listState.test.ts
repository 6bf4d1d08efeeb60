import { expect, test } from "vitest";

import { filtersOf, isFiltered, listParams, MAX_CURSORS, nextPage, parseListState, previousPage, withoutListState } from "./listState";

const parse = (query: string) => parseListState(new URLSearchParams(query));

test("a URL and the state it stands for are the same thing", () => {
  const query = "tag=noisy&label=a+%26+b&min_suspicion=0.8&in_all_seeds=true&threshold=0.9&order_by=aum&cursor=x&cursor=y&page=2&view=table&at=7";
  expect(listParams(parse(query)).toString()).toBe(query);
});

test("the plain list has a plain URL", () => {
  expect(listParams(parse("")).toString()).toBe("");
  expect(parse("").orderBy).toBe("suspicion");
});

test("what is no number or no view is not taken for one", () => {
  expect(parse("min_suspicion=high&at=&view=wall")).toMatchObject({ minSuspicion: undefined, at: undefined, view: undefined });
});

test("a threshold is a chance, and no filter", () => {
  expect(parse("threshold=7").threshold).toBeUndefined();
  expect(filtersOf(parse("threshold=0.9"))).toEqual({ threshold: 0.9 });
  expect(isFiltered(parse("threshold=0.9"))).toBe(false);
  expect(isFiltered(parse("threshold=0.9&tag=noisy"))).toBe(true);
});

test("example 0 and suspicion 0 are not nothing", () => {
  expect(filtersOf(parse("min_suspicion=0"))).toEqual({ min_suspicion: 0 });
  expect(parse("at=0").at).toBe(0);
});

test("pages can be walked forth and back", () => {
  const second = nextPage(parse("tag=ood&at=3"), "a");
  const third = nextPage(second, "b");
  expect(third).toMatchObject({ cursors: ["a", "b"], page: 2, tag: "ood", at: undefined });
  expect(previousPage(third)).toEqual(second);
  expect(previousPage(second)).toMatchObject({ cursors: [], page: 0 });
  expect(previousPage(parse(""))).toBeUndefined();
});

test("the URL stays short on a long walk, and the way back ends where it is no longer known", () => {
  let state = parse("");
  for (let page = 1; page <= MAX_CURSORS + 5; page++) state = nextPage(state, `c${page}`);
  expect(state.cursors).toHaveLength(MAX_CURSORS);
  for (let step = 1; step < MAX_CURSORS; step++) state = previousPage(state) ?? state;
  expect(state).toMatchObject({ cursors: ["c6"], page: 6 });
  expect(previousPage(state)).toBeUndefined();
});

test("a page number without a cursor is the first page", () => {
  expect(parse("page=4").page).toBe(0);
});

test("what belongs to other screens is told apart", () => {
  expect(withoutListState(new URLSearchParams("tag=ood&run=2&cursor=a&channel=margin")).toString()).toBe("run=2&channel=margin");
});
