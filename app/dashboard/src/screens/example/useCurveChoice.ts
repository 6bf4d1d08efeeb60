/** Which curve is looked at, and how: run, channel and scale, in the URL. */

import { useSearchParams } from "react-router";

import { useExplanation } from "../../api/queries";
import type { Explanation, Tagging } from "../../api/types";
import { parseListState } from "../../lib/listState";

export const CHANNELS = ["loss", "margin"] as const;
export type Channel = (typeof CHANNELS)[number];
export type Scale = "linear" | "log";

export interface CurveChoice {
  runId: number | undefined;
  channel: Channel;
  scale: Scale;
  explanation: ReturnType<typeof useExplanation>;
  choose: (change: { run?: number; channel?: Channel; scale?: Scale }) => void;
  nextRun: () => void;
  nextChannel: () => void;
  nextScale: () => void;
}

export function useCurveChoice(tagging: Tagging, index: number): CurveChoice {
  const [params, setParams] = useSearchParams();
  const channel: Channel = params.get("channel") === "margin" ? "margin" : "loss";
  const scale: Scale = params.get("scale") === "log" ? "log" : "linear";
  const wanted = tagging.run_ids.find((id) => String(id) === params.get("run"));
  // Where no run is asked for, the server takes the first that trained on the example.
  const { threshold } = parseListState(params);
  const explanation = useExplanation(tagging.id, index, { runId: wanted, channel, threshold });
  const runId = wanted ?? explanation.data?.run_id;

  const choose: CurveChoice["choose"] = (change) => {
    // From the address itself: keys can come faster than the screen is drawn again.
    const next = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(change)) next.set(name, String(value));
    setParams(next, { replace: true });
  };
  return {
    runId,
    channel,
    scale,
    explanation,
    choose,
    nextRun: () => {
      const run = after(tagging.run_ids, runId);
      if (run !== undefined) choose({ run });
    },
    nextChannel: () => {
      choose({ channel: channel === "loss" ? "margin" : "loss" });
    },
    nextScale: () => {
      choose({ scale: scale === "log" ? "linear" : "log" });
    },
  };
}

export const wasSeen = ({ curve }: Explanation): boolean => curve.some((value) => value !== null);

function after(all: number[], current: number | undefined): number | undefined {
  return all[(all.indexOf(current ?? -1) + 1) % all.length];
}
