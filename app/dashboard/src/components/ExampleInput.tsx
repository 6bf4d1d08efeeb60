/** What an example is: its picture, its text or its values. */

import { inline, plural } from "../lib/format";
import type { Shown } from "../api/types";
import { Picture } from "./Picture";

interface Props {
  shown: Shown;
  alt: string;
  size: "small" | "card" | "big";
}

const PIXELS = { small: 64, card: 192, big: 512 };
const VALUES_SHOWN = { small: 2, card: 5, big: Infinity };

export function ExampleInput({ shown, alt, size }: Props) {
  if (shown.picture_url) {
    return <Picture key={shown.picture_url} url={shown.picture_url} alt={alt} size={PIXELS[size]} lazy={size !== "big"} />;
  }
  if (typeof shown.text === "string") {
    return <p className={`input-text ${size}`}>{shown.text || <em className="muted">empty text</em>}</p>;
  }
  if (shown.values) return <Values values={shown.values} limit={VALUES_SHOWN[size]} />;
  return <p className="muted">Not on the server</p>;
}

function Values({ values, limit }: { values: Record<string, unknown>; limit: number }) {
  const entries = Object.entries(values);
  const rest = entries.length - limit;
  return (
    <dl className="input-values">
      {entries.slice(0, limit).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{inline(value)}</dd>
        </div>
      ))}
      {rest > 0 && limit > VALUES_SHOWN.small ? <div className="muted">and {plural(rest, "more value")}</div> : null}
    </dl>
  );
}
