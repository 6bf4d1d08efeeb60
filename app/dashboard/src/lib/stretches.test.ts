import { expect, test } from "vitest";

import { stretches } from "./stretches";

test("equal neighbours become one stretch, and epochs that were not seen stay apart", () => {
  expect(stretches(["a", "a", null, "b", "a"])).toEqual([
    { name: "a", start: 0, length: 2 },
    { name: null, start: 2, length: 1 },
    { name: "b", start: 3, length: 1 },
    { name: "a", start: 4, length: 1 },
  ]);
  expect(stretches([])).toEqual([]);
});
