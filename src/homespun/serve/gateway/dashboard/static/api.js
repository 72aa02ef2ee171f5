// Calls of the dashboard's own addresses. The key lives in this tab's session storage and travels as a header only.

const PLACE = "homespun-admin-key";

export const key = () => sessionStorage.getItem(PLACE);
export const keep = (value) => sessionStorage.setItem(PLACE, value);
export const forget = () => sessionStorage.removeItem(PLACE);

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function get(path, parameters = {}) {
  const wanted = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = wanted.length ? `?${new URLSearchParams(wanted)}` : "";
  const headers = key() ? { Authorization: `Bearer ${key()}` } : {};
  let response;
  try {
    response = await fetch(`/dashboard/api/${path}${query}`, { headers, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refused(0, "The gateway cannot be reached. Is it running? This page tries again by itself.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, body?.error?.message ?? `The gateway answered ${response.status}.`);
  return body;
}
