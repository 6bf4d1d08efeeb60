/** ③ One curve over the bands of the categories, drawn by Observable Plot. */

import * as Plot from "@observablehq/plot";
import { useEffect, useRef } from "react";

import type { Band, Explanation, Neighbour } from "../../api/types";
import { colourOf } from "../../lib/categories";
import { capital, decimal } from "../../lib/format";
import { MARGIN } from "./chartMargins";
import type { Scale } from "./useCurveChoice";

const HEIGHT = 320;
/** The lowest loss that the logarithmic scale shows; below it float32 has little to say. */
const LOG_FLOOR = 1e-4;

interface Props {
  explanation: Explanation;
  scale: Scale;
  width: number;
  hidden: ReadonlySet<string>;
  /** The category that the pointer is on; the others stand back. */
  highlighted: string | null;
  neighbour: Neighbour | null;
}

export function CurveChart({ explanation, scale, width, hidden, highlighted, neighbour }: Props) {
  const figure = useRef<HTMLElement>(null);
  useEffect(() => {
    const floor = scale === "log" ? LOG_FLOOR : -Infinity;
    const bands = explanation.bands.filter(({ category }) => !hidden.has(category));
    const curve = points(explanation.curve, floor);
    const chart = Plot.plot({
      width,
      height: HEIGHT,
      ...MARGIN,
      ariaLabel: `${explanation.channel} of example ${explanation.index} over ${explanation.curve.length} epochs`,
      style: { background: "none", color: "var(--muted)", fontFamily: "inherit", fontSize: "11px", overflow: "visible" },
      x: { domain: [0.5, explanation.curve.length + 0.5], label: null, ticks: wholeTicks(explanation.curve.length), tickFormat: "d" },
      y: { label: capital(explanation.channel), grid: true, ...(scale === "log" ? logScale(explanation, floor) : { nice: true, ticks: 6 }) },
      marks: [
        ...bands.map((band) => areaOf(band, floor, opacityOf(band.category, highlighted))),
        ...bands.map((band) => medianOf(band, floor, opacityOf(band.category, highlighted))),
        neighbour ? curveOf(neighbour.curve, floor, colourOf(neighbour.probe.category), 1.5) : null,
        curveOf(explanation.curve, floor, "var(--ink)", 2.25),
        Plot.ruleX(curve, Plot.pointerX({ x: "epoch", stroke: "var(--line-strong)" })),
        Plot.dot(curve, Plot.pointerX({ x: "epoch", y: "value", r: 3.5, fill: "var(--ink)" })),
        Plot.tip(curve, Plot.pointerX({ x: "epoch", y: "value", title: tipOf(explanation), ...TIP })),
      ],
    });
    figure.current?.replaceChildren(chart);
  }, [explanation, scale, width, hidden, highlighted, neighbour]);
  return <figure ref={figure} className="chart" style={{ minHeight: HEIGHT }} />;
}

interface Point {
  epoch: number;
  value: number | null;
}

const TIP = { fill: "var(--surface)", stroke: "var(--line-strong)", fontSize: 12, textPadding: 8 };

/** Epochs count from 0 in the store and from 1 on the screen. Null leaves a gap. */
function points(values: (number | null)[], floor: number): Point[] {
  return values.map((value, epoch) => ({ epoch: epoch + 1, value: value === null ? null : Math.max(value, floor) }));
}

const at = (value: number | null | undefined, floor: number): number =>
  value === null || value === undefined ? NaN : Math.max(value, floor);

function areaOf({ category, low, high }: Band, floor: number, opacity: number): Plot.Markish {
  const spans = low.map((value, epoch) => ({ epoch: epoch + 1, low: at(value, floor), high: at(high[epoch], floor) }));
  return Plot.areaY(spans, { x: "epoch", y1: "low", y2: "high", fill: colourOf(category), fillOpacity: 0.16 * opacity });
}

function medianOf({ category, median }: Band, floor: number, opacity: number): Plot.Markish {
  const line = { x: "epoch", y: "value", stroke: colourOf(category), strokeWidth: 1.25, strokeOpacity: opacity };
  return Plot.lineY(points(median, floor), line);
}

function curveOf(values: (number | null)[], floor: number, stroke: string, strokeWidth: number): Plot.Markish {
  return Plot.lineY(points(values, floor), { x: "epoch", y: "value", stroke, strokeWidth, strokeLinejoin: "round" });
}

const opacityOf = (category: string, highlighted: string | null): number =>
  highlighted === null ? 1 : highlighted === category ? 1.75 : 0.25;

function tipOf({ channel, predicted, curve }: Explanation): (point: Point) => string {
  return ({ epoch }) => {
    const lines = [`Epoch ${epoch}`, `${channel} ${decimal(curve[epoch - 1])}`];
    const guess = predicted[epoch - 1];
    return (guess ? [...lines, `predicted ${guess}`] : lines).join("\n");
  };
}

/** Whole decades only: the lines between them say nothing here. */
function logScale({ curve, bands }: Explanation, floor: number): Plot.ScaleOptions {
  const values = [curve, ...bands.flatMap(({ low, high }) => [low, high])].flat().filter((value) => value !== null);
  const decades = values.map((value) => Math.log10(Math.max(value, floor)));
  const first = Math.floor(Math.min(...decades, 0));
  const last = Math.ceil(Math.max(...decades, 0));
  const ticks = Array.from({ length: last - first + 1 }, (_, place) => 10 ** (first + place));
  return { type: "log", domain: [10 ** first, 10 ** last], ticks, tickFormat: (value: number) => String(Number(value.toPrecision(1))) };
}

/** About eight whole epochs, the first among them. */
function wholeTicks(epochs: number): number[] {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((size) => epochs / size <= 8) ?? 1000;
  const ticks = Array.from({ length: Math.floor(epochs / step) }, (_, place) => (place + 1) * step);
  return step === 1 ? ticks : [1, ...ticks];
}
