// Numbers, sizes and times in the words of people. The same rules as accounts_app/units.py.

export const NONE = "–";
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

/** 1234 → "1,234" */
export const count = (value) => (known(value) ? whole.format(value) : NONE);

/** 1234567 → "1.2 M": for axes and small places */
export function short(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  for (const [from, word] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= from) return `${digits(value / (word === "k" ? 1e3 : from))} ${word}`;
  }
  return size >= 100 || Number.isInteger(Number(value)) ? whole.format(value) : digits(value);
}

/** Three digits that matter: 1.23 → "1.2", 12.34 → "12", 0 → "0" */
function digits(value) {
  const size = Math.abs(value);
  const text = size >= 10 || size === 0 ? Math.round(value).toString() : value.toFixed(1);
  return text.endsWith(".0") ? text.slice(0, -2) : text;
}

/** 0.384 → "0.4 ms" */
export const milliseconds = (value) => (known(value) ? `${digits(value)} ms` : NONE);

/** Of a second: 812.5 → "813/s" */
export const rate = (value) => (known(value) ? `${short(value)}/s` : NONE);

/** 10485760 → "10 MiB" */
export function bytes(value) {
  if (!known(value)) return NONE;
  let left = Number(value);
  let at = 0;
  while (Math.abs(left) >= 1024 && at < SIZES.length - 1) {
    left /= 1024;
    at += 1;
  }
  return `${digits(left)} ${SIZES[at]}`;
}

export const bytesRate = (value) => (known(value) ? `${bytes(value)}/s` : NONE);

export const percent = (value) => (known(value) ? `${digits(Number(value))} %` : NONE);

/** Seconds: 75 → "1 min 15 s" */
export function duration(value) {
  if (!known(value)) return NONE;
  const seconds = Math.max(0, Math.floor(value));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return two(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}
const two = (big, bigWord, small, smallWord) => `${big} ${bigWord}${small ? ` ${small} ${smallWord}` : ""}`;

/** How long ago, in one unit: "now", "12 s ago", "3 min ago" */
export function ago(iso, now = Date.now()) {
  if (!iso) return NONE;
  const seconds = Math.floor((now - Date.parse(iso)) / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** 18:59:58 of the reader's own clock */
export const clock = (iso) => new Date(iso).toLocaleTimeString("en-GB");

/** The whole moment, for titles */
export const exact = (iso) => (iso ? new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : "");

/** A limit of null or -1 is none */
export const limited = (limit) => known(limit) && Number(limit) >= 0;

/** By the type of a column in monitoring/tables.py */
export const BY_TYPE = {
  text: (value) => String(value ?? ""),
  texts: (value) => (value ?? []).join(", "),
  count,
  bytes,
  rate,
  bytes_rate: bytesRate,
  percent,
  seconds: duration,
  milliseconds,
  time: (value) => ago(value),
  yes: (value) => (value ? "yes" : "no"),
};
