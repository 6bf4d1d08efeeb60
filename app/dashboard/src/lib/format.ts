/** Numbers, durations and moments as people read them. */

const integers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => integers.format(value);

export const plural = (value: number, noun: string, many = `${noun}s`): string => `${count(value)} ${value === 1 ? noun : many}`;

/** Three significant digits, so that a column of them lines up; very large and small ones in powers of ten. */
export function decimal(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e6 || size < 1e-3 ? value.toExponential(1) : size >= 1000 ? count(value) : value.toPrecision(3);
  return text.replaceAll("-", "−");
}

export function share(value: number | null | undefined, digits = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return `${(value * 100).toFixed(digits)} %`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 600) return parts(Math.round(seconds), 60, "min", "s");
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : parts(minutes, 60, "h", "min");
}

function parts(value: number, size: number, large: string, small: string): string {
  const rest = value % size;
  return `${Math.floor(value / size)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

export const isOlderThan = (moment: string, milliseconds: number): boolean => Date.now() - Date.parse(moment) > milliseconds;

export function ago(moment: string, now = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(moment)) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

/** `mean_loss` → `mean loss`. */
export const words = (name: string): string => name.replaceAll("_", " ");

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Any JSON value in one line, for parameters whose names the dashboard does not know. */
export function inline(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return String(Number(value.toPrecision(4)));
  if (typeof value === "string") return value;
  return typeof value === "boolean" ? (value ? "yes" : "no") : JSON.stringify(value);
}

/** A dataset as it is called on every screen. */
export const titleOf = (dataset: { name: string; version: number }): string => `${dataset.name} v${dataset.version}`;
