// Numbers for people. Unknown is a dash, never a zero.

const UNKNOWN = "–";
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : UNKNOWN);

export function short(value) {
  if (!known(value)) return UNKNOWN;
  for (const [size, sign] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${(value / size).toLocaleString("en", { maximumFractionDigits: 1 })}${sign}`;
  }
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 0 });
}

export function dollars(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  const digits = size === 0 || size >= 1 ? 2 : Math.min(9, Math.ceil(-Math.log10(size)) + 2);
  const text = size.toLocaleString("en", { minimumFractionDigits: Math.min(2, digits), maximumFractionDigits: digits });
  return `${value < 0 ? "−" : ""}$${text}`;
}

export function seconds(value) {
  if (!known(value)) return UNKNOWN;
  if (value < 0.0095) return `${(value * 1000).toFixed(1)} ms`;
  if (value < 0.95) return `${Math.round(value * 1000)} ms`;
  return value < 60 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export const percent = (value, digits = 1) => (known(value) ? `${(value * 100).toFixed(digits).replace("-", "−")} %` : UNKNOWN);
export const points = (value) => (known(value) ? `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)}`.replace("-", "−") : UNKNOWN);
export const score = (value) => (known(value) ? value.toFixed(2) : UNKNOWN);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export function clock(time, withDate = false, withSeconds = true) {
  const date = new Date(time * 1000);
  const hours = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined });
  return withDate ? `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${hours}` : hours;
}

export function ago(time, now) {
  const passed = now - time;
  for (const [size, word] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) {
    if (passed >= size) return `${plural(Math.floor(passed / size), word)} ago`;
  }
  return "just now";
}
