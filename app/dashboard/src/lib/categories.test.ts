import { expect, test } from "vitest";

import { colourOf, inOrder } from "./categories";

test("known categories come in their order, the user's own after them", () => {
  expect(inOrder(["zebra", "unsure", "noisy", "apple", "prototypical"])).toEqual(["prototypical", "noisy", "unsure", "apple", "zebra"]);
});

test("a category keeps its colour, and those of the user's own never take a known one's", () => {
  expect(colourOf("noisy")).toBe("var(--category-noisy)");
  expect(colourOf("grandma")).toBe(colourOf("grandma"));
  expect(colourOf("grandma")).toMatch(/^var\(--category-own-[0-2]\)$/);
});
